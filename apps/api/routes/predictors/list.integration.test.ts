import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestApi, type TestApi } from '../../api.fixture.ts';

let api: TestApi;
beforeAll(async () => {
  api = await createTestApi();
});
afterAll(() => api?.close());

it.each(['predictors', 'models'])('GET /v1/%s knows what was changed since, though nothing was read', async (list) => {
  const names = async () => {
    const body = (await (await api.get(`/v1/${list}`)).json()) as Record<
      string,
      { name?: string; predictor?: string }[]
    >;
    return new Set(body[list]?.map(({ name, predictor }) => predictor ?? name));
  };
  await api.pool.query('update tandem.predictors set active = false');
  expect(await names()).toEqual(new Set());
  await api.pool.query('update tandem.predictors set active = true');
  expect(await names()).toEqual(new Set(['repurchase']));
});

it('GET /v1/predictors/{predictor} and /v1/users/{userId} know it too', async () => {
  const users = async () => {
    const body = (await (await api.get('/v1/users/1')).json()) as { predictors?: { predictor: string }[] };
    return body.predictors?.map(({ predictor }) => predictor) ?? [];
  };
  await api.pool.query(
    `insert into tandem.events (source, id, user_id, type) values ('test', '1', '1', 'order.placed')`,
  );
  expect(await users()).toEqual(['repurchase']);
  await api.pool.query('update tandem.predictors set active = false');
  expect(await users()).toEqual([]);
  expect((await api.get('/v1/predictors/repurchase')).status).toBe(404);
  await api.pool.query('update tandem.predictors set active = true');
  expect((await api.get('/v1/predictors/repurchase')).status).toBe(200);
});
