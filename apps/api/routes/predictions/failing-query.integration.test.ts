/** Tests of a user whose row makes the feature query fail, or who has two rows. Repeating the read does not help. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestApi, type TestApi } from '../../api.fixture.ts';

const path = '/v1/predictions/repurchase';
let api: TestApi;

beforeAll(async () => {
  api = await createTestApi({ default: null });
  await api.pool.query(`
    alter table customers rename to customer_rows;
    alter table customer_rows add divisor int not null default 1, add copies int not null default 1;
    create view customers as select user_id, recency + 0 * (1 / divisor) as recency, orders, loaded_at
      from customer_rows, lateral generate_series(1, copies);
    update customer_rows set divisor = 0 where user_id in (4, 7);
    update customer_rows set copies = 2 where user_id = 8`);
});
afterAll(() => api?.close());

const FAILED = {
  type: 'urn:tandem:problem:features_failed',
  status: 422,
  detail: 'User 4 cannot be predicted: the feature query fails for this user.',
  remedy: expect.stringContaining('tandem explain'),
};

it('the user is rejected with a separate code and without a retry hint', async () => {
  const response = await api.get(`${path}/4`);
  expect([response.status, response.headers.get('retry-after')]).toEqual([422, null]);
  expect(await response.json()).toMatchObject(FAILED);
});

it('the user is rejected alone in a read of many users', async () => {
  const response = await api.post(path, { userIds: ['3', '4', '5'] });
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({
    results: [
      { userId: '3', source: 'live' },
      { userId: '4', error: { ...FAILED, field: 'userIds[1]' } },
      { userId: '5', source: 'live' },
    ],
  });
});

it('the user gets the stored prediction, marked as stale for that reason', async () => {
  await api.pool.query('update customer_rows set divisor = 1 where user_id = 6');
  expect(await (await api.get(`${path}/6`)).json()).toMatchObject({ userId: '6', source: 'live' });
  await api.pool.query('update customer_rows set divisor = 0 where user_id = 6');
  const event = { specversion: '1.0', id: '1', source: '/test', type: 'order.placed', subject: '6' };
  await api.post('/v1/events', event, { 'content-type': 'application/cloudevents+json' });
  expect(await (await api.get(`${path}/6`)).json()).toMatchObject({ source: 'stale', reason: 'features_failed' });
});

it('the user gets an explanation that quotes Postgres', async () => {
  const response = await api.get('/v1/users/4/explanations/repurchase');
  expect(await response.json()).toMatchObject({
    featureProblem: {
      detail: 'The feature query of predictor repurchase fails: division by zero',
      field: 'predictors.repurchase.features.sql',
      remedy: 'fix the query, or the rows that it reads; tandem check runs it',
    },
    answerProblem: { type: 'urn:tandem:problem:features_failed' },
  });
});

it('a user with two rows gets an error that says so and how to fix it', async () => {
  const response = await api.get(`${path}/8`);
  expect(response.status).toBe(422);
  expect(await response.json()).toMatchObject({
    type: 'urn:tandem:problem:features_unusable',
    detail: expect.stringMatching(/^User 8 cannot be predicted: the feature query has more than one row for this user/),
    remedy: expect.stringMatching(/^fix the feature query so that it returns one row for each user/),
  });
});

it('the user is answered again after the row is fixed', async () => {
  await api.pool.query('update customer_rows set divisor = 1 where user_id = 4');
  expect(await (await api.get(`${path}/4`)).json()).toMatchObject({ userId: '4', source: 'live' });
});
