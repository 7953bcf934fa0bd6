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
