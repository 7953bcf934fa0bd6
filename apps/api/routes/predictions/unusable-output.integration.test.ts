/** Tests of a model that always returns NaN for one user. Repeating the read does not help. */
import { createHash } from 'node:crypto';
import { adopt, type PredictorToAdopt } from '@tandem/offline-store/adopt';
import { rootModel } from '@tandem/testing/onnx-models';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestApi, repurchase, type TestApi } from '../../api.fixture.ts';

const path = '/v1/predictions/root';
let api: TestApi;

/** Returns a predictor for the square root of a customer's balance, which is NaN if the balance is negative. */
function rootPredictor(): PredictorToAdopt {
  const artifact = rootModel();
  const { policy, definition } = repurchase({ default: null });
  return {
    ...{ name: 'root', artifact, policy },
    definition: {
      ...definition,
      ...{ predictor: 'root', artifactHash: createHash('sha256').update(artifact).digest('hex') },
      query: {
        ...definition.query,
        ...{ sql: 'select user_id, balance, loaded_at from customers' },
        columns: [{ name: 'balance', kind: 'number' }],
      },
      inputs: [{ name: 'features', type: 'float32', columns: ['balance'] }],
    },
  };
}

beforeAll(async () => {
  api = await createTestApi({}, undefined, undefined, undefined, {
    async prepare(pool) {
      await pool.query(`
        alter table customers add balance double precision not null default 9;
        update customers set balance = -1 where user_id = 4`);
      await adopt(pool, { predictors: [rootPredictor()], actor: 'test' });
    },
  });
});
afterAll(() => api?.close());

const UNUSABLE = {
  type: 'urn:tandem:problem:output_unusable',
  status: 422,
  detail: 'User 4 cannot be predicted: output score is NaN.',
  remedy: expect.stringContaining('tandem explain'),
};

it('the user is rejected with a separate code that names the output, and without a retry hint', async () => {
  const response = await api.get(`${path}/4`);
  expect([response.status, response.headers.get('retry-after')]).toEqual([422, null]);
  const problem = await response.json();
  expect(problem).toMatchObject(UNUSABLE);
  expect(JSON.stringify(problem)).not.toContain('again');
});

it('the user is rejected alone in a read of many users', async () => {
  const response = await api.post(path, { userIds: ['3', '4', '5'] });
  const { results } = (await response.json()) as { results: unknown[] };
  expect(results).toMatchObject([
    { userId: '3', source: 'live', prediction: { score: 3 } },
    { userId: '4', error: { ...UNUSABLE, field: 'userIds[1]' } },
    { userId: '5', source: 'live' },
  ]);
});

it('the user gets the stored prediction, marked as stale for that reason', async () => {
  expect(await (await api.get(`${path}/6`)).json()).toMatchObject({ userId: '6', source: 'live' });
  await api.pool.query('update customers set balance = -1 where user_id = 6');
  const event = { specversion: '1.0', id: '1', source: '/test', type: 'order.placed', subject: '6' };
  await api.post('/v1/events', event, { 'content-type': 'application/cloudevents+json' });
  const response = await api.get(`${path}/6`);
  expect(response.headers.get('cache-status')).toBe('tandem; fwd=stale; detail=context_newer');
  expect(await response.json()).toMatchObject({ userId: '6', source: 'stale', reason: 'output_unusable' });
});

it('the user is answered again after its features change so that the output is a number', async () => {
  await api.pool.query('update customers set balance = 4 where user_id = 4');
  expect(await (await api.get(`${path}/4`)).json()).toMatchObject({ userId: '4', prediction: { score: 2 } });
});
