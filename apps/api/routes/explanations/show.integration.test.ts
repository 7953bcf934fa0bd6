import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestApi, scoreOf, type TestApi, workOff } from '../../api.fixture.ts';

let api: TestApi;
beforeAll(async () => {
  api = await createTestApi();
  const run = await (await api.post('/v1/runs', { predictor: 'repurchase', scope: 'all' })).json();
  await workOff(api, (run as { id: string }).id);
  const event = {
    specversion: '1.0',
    id: 'e1',
    source: '/test',
    type: 'order.placed',
    subject: '4',
    data: { orders: 9 },
  };
  await api.post('/v1/events', event, { 'content-type': 'application/cloudevents+json' });
});
afterAll(() => api?.close());

describe('GET /v1/users/{userId}/explanations/{predictor}', () => {
  it('shows the certificate, the stored predictions, the features, and the answer of a read', async () => {
    const response = await api.get('/v1/users/4/explanations/repurchase');
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      userId: '4',
      predictor: 'repurchase',
      user: { contextVersion: 1, lastConcerningVersion: 1, deletedVersion: 0 },
      assignment: { modelVersion: '1', variant: 'stable', generation: '1', expiresFrom: null },
      stores: { redis: 'ok', postgres: 'ok' },
      candidates: [
        {
          store: 'postgres',
          layer: 'generation',
          state: 'stale',
          generation: '1',
          predictedFromContextVersion: 0,
          prediction: { score: expect.closeTo(scoreOf(40, 4), 5) },
        },
      ],
      features: [
        { name: 'recency', value: 40, from: 'row' },
        { name: 'orders', value: 9, from: 'event', rowValue: 4, event: { source: '/test', id: 'e1' } },
      ],
      featureFault: null,
      answer: { source: 'live', reason: 'context_newer', prediction: { score: expect.closeTo(scoreOf(40, 9), 5) } },
      answerProblem: null,
      cacheStatus: 'tandem; fwd=stale; stored; detail=context_newer',
    });
  });

  it('answers for an unknown user with the error of a read', async () => {
    const response = await api.get('/v1/users/999/explanations/repurchase');
    expect(await response.json()).toMatchObject({
      candidates: [],
      features: [],
      answer: null,
      answerProblem: { type: 'urn:tandem:problem:unknown_user' },
    });
  });
});

describe('GET /v1/users/{userId}', () => {
  it('shows the context with the values of events, and the stored predictions with their states', async () => {
    await api.get('/v1/predictions/repurchase/4');
    expect(await (await api.get('/v1/users/4')).json()).toMatchObject({
      userId: '4',
      contextVersion: 1,
      context: { orders: { value: 9, source: '/test', id: 'e1' } },
      predictors: [
        {
          predictor: 'repurchase',
          lastConcerningVersion: 1,
          candidates: expect.arrayContaining([
            expect.objectContaining({
              store: 'redis',
              layer: 'overlay',
              state: 'fresh',
              source: 'live',
              madeBy: 'read',
            }),
            expect.objectContaining({ store: 'postgres', layer: 'generation', state: 'stale' }),
          ]),
        },
      ],
    });
  });

  it('finds a user that only a run scored, and answers 404 for a user without records', async () => {
    expect(await (await api.get('/v1/users/7')).json()).toMatchObject({
      contextVersion: 0,
      updatedAt: null,
      context: {},
    });
    expect((await api.get('/v1/users/999')).status).toBe(404);
  });

  it('shows a damaged stored prediction as unreadable', async () => {
    await api.pool.query(`update tandem.predictions set outputs = '\\x00' where user_id = '9'`);
    const damaged = { store: 'postgres', state: 'fresh', prediction: null, modelVersion: '1' };
    const user = await api.get('/v1/users/9');
    expect([user.status, await user.json()]).toMatchObject([200, { predictors: [{ candidates: [damaged] }] }]);
    const explanation = await api.get('/v1/users/9/explanations/repurchase');
    expect([explanation.status, await explanation.json()]).toMatchObject([
      200,
      { candidates: [damaged], answer: { source: 'live' } },
    ]);
  });

  it('shows nothing of an erased user', async () => {
    await api.pool.query(`insert into tandem.user_contexts (user_id, version, deleted_version) values ('8', 3, 3)`);
    expect((await api.get('/v1/users/8')).status).toBe(404);
    expect((await api.get('/v1/users/8/explanations/repurchase')).status).toBe(404);
    expect((await api.get('/v1/predictions/repurchase/8')).status).toBe(404);
  });
});
