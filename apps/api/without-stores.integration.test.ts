import { afterEach, describe, expect, it } from 'vitest';
import { createTestApi, type TestApi } from './api.fixture.ts';

const path = '/v1/predictions/repurchase';
const NOBODY_LISTENS = 'redis://127.0.0.1:1';
const order = {
  specversion: '1.0',
  id: 'e1',
  source: '/test',
  type: 'order.placed',
  subject: '1',
  data: { orders: 5 },
};
const cloudEvent = { 'content-type': 'application/cloudevents+json' };

let api: TestApi | undefined;
afterEach(() => api?.close());

const sendOrder = async (to = api) => (await to?.post('/v1/events', order, cloudEvent))?.status;
/** Waits until the models are loaded, which the start of the API does not do without a limit. */
const untilReady = (one: TestApi) =>
  expect.poll(async () => (await one.get('/readyz')).json()).toMatchObject({ status: 'ready' });

describe('without Redis', () => {
  it('answers correctly, accepts events and runs, and is degraded', async () => {
    api = await createTestApi({}, NOBODY_LISTENS);
    const first = await api.get(`${path}/1`);
    expect([first.status, await first.json()]).toMatchObject([200, { source: 'live', reason: 'missing' }]);
    const event = await api.post('/v1/events', order, cloudEvent);
    expect([event.status, await event.json()]).toMatchObject([202, { results: [{ contextVersion: 1 }] }]);
    const after = await api.get(`${path}/1`);
    expect(await after.json()).toMatchObject({ source: 'live', predictedFromContextVersion: 1 });
    expect((await api.post('/v1/runs', { predictor: 'repurchase', scope: 'all' })).status).toBe(202);
    const ready = await api.get('/readyz');
    expect([ready.status, await ready.json()]).toMatchObject([
      200,
      { status: 'degraded', parts: expect.arrayContaining([{ name: 'redis', status: 'failed' }]) },
    ]);
    expect(await (await api.get('/v1/users/1')).json()).toMatchObject({
      predictors: [{ stores: { redis: 'failed', postgres: 'ok' } }],
    });
  });
});

describe('without Postgres', () => {
  it('serves stored predictions as unverified if the predictor allows it, rejects all else, and recovers afterwards', async () => {
    api = await createTestApi();
    await api.keepCounts();
    await api.get(`${path}/1`);
    expect(await (await api.get(`${path}/1`)).json()).toMatchObject({ source: 'live', reason: 'fresh' });
    api.postgres.cut();
    const stored = await api.get(`${path}/1`);
    expect(stored.headers.get('cache-status')).toBe('tandem; hit; detail=unverified');
    const unknown = { contextVersion: null, lastConcerningVersion: null };
    expect(await stored.json()).toMatchObject({ source: 'stale', reason: 'unverified', ...unknown });
    const refused = await Promise.all([
      api.get(`${path}/2`),
      api.get(`${path}/1`, { 'cache-control': 'no-cache' }),
      api.post(path, { userIds: ['2', '3'] }),
      api.post('/v1/events', order, cloudEvent),
      api.get('/v1/runs'),
      api.post('/v1/runs', { predictor: 'repurchase', scope: 'all' }),
      api.get('/v1/users/1'),
      api.get('/v1/users/1/explanations/repurchase'),
      api.get('/v1/predictors'),
    ]);
    for (const response of refused) {
      const { type } = (await response.clone().json()) as { type: string };
      expect([response.url, response.status, type]).toEqual([response.url, 503, 'urn:tandem:problem:unavailable']);
      expect(response.headers.get('retry-after')).toMatch(/^\d+$/);
    }
    const ready = await api.get('/readyz');
    expect([ready.status, await ready.json()]).toMatchObject([
      503,
      { status: 'not_ready', parts: expect.arrayContaining([{ name: 'postgres', status: 'failed' }]) },
    ]);
    api.postgres.restore();
    const { get } = api;
    const reason = async () => ((await (await get(`${path}/1`)).json()) as { reason: string }).reason;
    await expect.poll(reason).toBe('fresh');
    await expect.poll(() => sendOrder(api)).toBe(202);
  });
});

describe('without the pooler', () => {
  it('serves stored predictions as fresh, and names the pooler in rejections and on /readyz', async () => {
    api = await createTestApi({}, undefined, undefined, {}, { hasPooler: true });
    await api.get(`${path}/1`);
    await untilReady(api);
    api.postgres.cut();
    expect(await (await api.get(`${path}/1`)).json()).toMatchObject({ source: 'live', reason: 'fresh' });
    const event = await api.post('/v1/events', order, cloudEvent);
    expect([event.status, await event.json()]).toMatchObject([
      503,
      { detail: 'The database does not answer through its pooler at the moment.' },
    ]);
    const ready = await api.get('/readyz');
    const { parts } = (await ready.json()) as { parts: { name: string; status: string }[] };
    expect([ready.status, parts.filter(({ status }) => status !== 'ok')]).toEqual([
      503,
      [{ name: 'pooler', status: 'failed' }],
    ]);
    api.postgres.restore();
    await expect.poll(() => sendOrder(api)).toBe(202);
  });
});
