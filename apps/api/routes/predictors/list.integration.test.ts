import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestApi, type TestApi, workOff } from '../../api.fixture.ts';

let api: TestApi;
beforeAll(async () => {
  api = await createTestApi();
});
afterAll(() => api?.close());

it.each(['predictors', 'models'])(
  'GET /v1/%s shows changes of the registry, even without a read since',
  async (list) => {
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
  },
);

it('GET /v1/predictors/{predictor} and /v1/users/{userId} show changes of the registry too', async () => {
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

const predictor = async () => (await api.get('/v1/predictors/repurchase')).json();
const runAll = async () => {
  const run = await (await api.post('/v1/runs', { predictor: 'repurchase', scope: 'all' })).json();
  await workOff(api, (run as { id: string }).id);
};

it("GET /v1/predictors/{predictor} says whether the current generation is expired, by the database's clock", async () => {
  expect(await predictor()).toMatchObject({ generation: null, generationExpired: null });
  await runAll();
  expect(await predictor()).toMatchObject({ generation: '1', generationExpired: false });
  // The arms are read again when the revision rises.
  await api.pool.query(`update tandem.generations set started_at = started_at - interval '2 hours';
    update tandem.arms set revision = revision + 1`);
  expect(await predictor()).toMatchObject({ generation: '1', generationExpired: true });
  await runAll();
  expect(await predictor()).toMatchObject({ generation: '2', generationExpired: false });
  expect((await api.post('/v1/predictors/repurchase/rollback')).status).toBe(200);
  expect(await predictor()).toMatchObject({ generation: '1', generationExpired: false });
});
