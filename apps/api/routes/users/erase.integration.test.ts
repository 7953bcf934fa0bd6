import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestApi, type TestApi, workOff } from '../../api.fixture.ts';

const PREDICTION = '/v1/predictions/repurchase';
const order = (subject: string, id: string) => ({
  specversion: '1.0',
  ...{ id, source: '/test', type: 'order.placed', subject, data: { orders: 9 } },
});

let api: TestApi;
beforeAll(async () => {
  api = await createTestApi();
  const run = await (await api.post('/v1/runs', { predictor: 'repurchase', scope: 'all' })).json();
  await workOff(api, (run as { id: string }).id);
});
afterAll(() => api?.close());

const erase = async (userId: string): Promise<Response> => api.app.request(`/v1/users/${userId}`, { method: 'DELETE' });
const send = (subject: string, id: string) =>
  api.post('/v1/events', order(subject, id), { 'content-type': 'application/cloudevents+json' });

describe('DELETE /v1/users/{userId}', () => {
  it('erases a user with a receipt of deleted records; reads then answer unknown_user, and events are ignored', async () => {
    await send('4', 'e1');
    expect((await api.get(`${PREDICTION}/4`)).status).toBe(200);
    const response = await erase('4');
    expect(response.status).toBe(200);
    const receipt = (await response.json()) as { erasedAt: string; contextToken: string };
    expect(receipt).toEqual({
      userId: '4',
      erasedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      contextVersion: 2,
      contextToken: expect.stringMatching(/^[0-9a-f]{16}\.2$/),
      deleted: {
        postgres: {
          contextValues: 1,
          events: 1,
          predictions: 1,
          overlayEntries: expect.any(Number),
          runFailures: 0,
          outcomes: 0,
          exposures: 0,
          keptExplanations: 0,
          readCounts: 0,
        },
        redis: { predictions: 0, overlayEntries: 1 },
      },
    });
    for (const path of [`${PREDICTION}/4`, '/v1/users/4']) {
      const { status } = await api.get(path);
      expect([path, status]).toEqual([path, 404]);
    }
    const event = await send('4', 'e2');
    expect([event.status, await event.json()]).toMatchObject([
      202,
      { results: [{ status: 'erased', contextVersion: 2 }] },
    ]);
    expect(await (await erase('4')).json()).toMatchObject({
      ...{ erasedAt: receipt.erasedAt, contextVersion: 2, contextToken: receipt.contextToken },
      deleted: { postgres: { contextValues: 0, events: 0, predictions: 0 }, redis: { overlayEntries: 0 } },
    });
  });

  it('does nothing if a condition of the request does not hold', async () => {
    for (const [method, path] of [
      ['DELETE', '/v1/users/8'],
      ['POST', '/v1/users/8/readmit'],
    ] as const) {
      const answer = await api.app.request(path, { method, headers: { 'if-match': '"1"' } });
      expect([answer.status, await answer.json()]).toMatchObject([412, { field: 'If-Match' }]);
    }
    expect((await api.get(`${PREDICTION}/8`)).status).toBe(200);
  });

  it('rejects other spellings of a user id, which would erase no user', async () => {
    for (const spelling of ['07', '+7', 'x', '%00']) {
      const response = await erase(spelling);
      expect([spelling, response.status]).toEqual([spelling, 422]);
    }
    expect((await api.get(`${PREDICTION}/7`)).status).toBe(200);
  });

  it('asks for a repetition if a store is unavailable; without Redis the tombstone still applies', async () => {
    const lonely = await createTestApi({}, 'redis://127.0.0.1:1');
    const response = await lonely.app.request('/v1/users/5', { method: 'DELETE' });
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1']);
    expect(await response.json()).toMatchObject({
      type: 'urn:tandem:problem:unavailable',
      detail: expect.stringContaining('is erased'),
      remedy: expect.stringContaining('retry'),
    });
    expect((await lonely.get(`${PREDICTION}/5`)).status).toBe(404);
    await lonely.close();
    api.postgres.cut();
    const refused = await erase('5');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
    api.postgres.restore();
    await expect.poll(async () => (await api.get(`${PREDICTION}/7`)).status).toBe(200);
  });
});

describe('POST /v1/users/{userId}/readmit', () => {
  it('ends an erasure: the user is inferred again, without values of earlier events', async () => {
    await send('8', 'e3');
    await erase('8');
    expect(await (await api.post('/v1/users/8/readmit')).json()).toMatchObject({
      ...{ userId: '8', status: 'readmitted', contextVersion: 3 },
      contextToken: expect.stringMatching(/\.3$/),
    });
    expect(await (await api.get(`${PREDICTION}/8`)).json()).toMatchObject({
      ...{ source: 'live', contextVersion: 3, predictedFromContextVersion: 3 },
    });
    expect(await (await api.get('/v1/users/8')).json()).toMatchObject({ context: {} });
  });

  it('changes nothing without an erasure', async () => {
    const response = await api.post('/v1/users/9/readmit');
    expect([response.status, await response.json()]).toMatchObject([200, { status: 'not_erased', contextVersion: 0 }]);
  });
});
