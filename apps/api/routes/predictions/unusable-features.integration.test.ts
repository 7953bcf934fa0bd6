/** Tests of a user whose features the model cannot take. Repeating the read does not help. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestApi, type TestApi } from '../../api.fixture.ts';

const path = '/v1/predictions/repurchase';
let api: TestApi;

beforeAll(async () => {
  api = await createTestApi({ default: null });
  await api.pool.query(`
    alter table customers alter recency drop not null, alter orders drop not null;
    update customers set recency = null, orders = null where user_id = 4`);
});
afterAll(() => api?.close());

const UNUSABLE = {
  type: 'urn:tandem:problem:features_unusable',
  status: 422,
  detail:
    'User 4 cannot be predicted: the model cannot take the values of features recency, orders (null or unusable).',
  remedy: expect.stringContaining('features.nulls'),
};

it('the user is rejected with its own code, feature names and fix, and without a retry hint', async () => {
  const response = await api.get(`${path}/4`);
  expect([response.status, response.headers.get('retry-after')]).toEqual([422, null]);
  expect(await response.json()).toMatchObject(UNUSABLE);
});

it('the user is rejected alone in a read of many users', async () => {
  const response = await api.post(path, { userIds: ['3', '4', '5'] });
  expect(response.status).toBe(200);
  const { results } = (await response.json()) as { results: unknown[] };
  expect(results).toMatchObject([
    { userId: '3', source: 'live' },
    { userId: '4', error: { ...UNUSABLE, field: 'userIds[1]' } },
    { userId: '5', source: 'live' },
  ]);
});

it('the user gets the stored prediction, marked as stale for that reason', async () => {
  expect(await (await api.get(`${path}/6`)).json()).toMatchObject({ userId: '6', source: 'live' });
  await api.pool.query('update customers set recency = null where user_id = 6');
  const event = { specversion: '1.0', id: '1', source: '/test', type: 'order.placed', subject: '6' };
  await api.post('/v1/events', event, { 'content-type': 'application/cloudevents+json' });
  const response = await api.get(`${path}/6`);
  expect(response.headers.get('cache-status')).toBe('tandem; fwd=stale; detail=context_newer');
  expect(await response.json()).toMatchObject({ userId: '6', source: 'stale', reason: 'features_unusable' });
});

it('the user is answered again after the feature source has the values', async () => {
  await api.pool.query('update customers set recency = 40, orders = 4 where user_id = 4');
  expect(await (await api.get(`${path}/4`)).json()).toMatchObject({ userId: '4', source: 'live' });
});
