import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestApi, type TestApi, workOff } from '../../api.fixture.ts';

let api: TestApi;
beforeAll(async () => {
  api = await createTestApi();
});
afterAll(() => api?.close());

const predictor = async () => (await api.get('/v1/predictors/repurchase')).json();
const runAll = async () => {
  const run = await (await api.post('/v1/runs', { predictor: 'repurchase', scope: 'all' })).json();
  await workOff(api, (run as { id: string }).id);
};

it("GET /v1/predictors/{predictor} says whether the generation in force is expired, on the database's clock", async () => {
  expect(await predictor()).toMatchObject({ generation: null, generationExpired: null });
  await runAll();
  expect(await predictor()).toMatchObject({ generation: '1', generationExpired: false });
  // The arms are read anew when the revision rises.
  await api.pool.query(`update tandem.generations set started_at = started_at - interval '2 hours';
    update tandem.arms set revision = revision + 1`);
  expect(await predictor()).toMatchObject({ generation: '1', generationExpired: true });
  await runAll();
  expect(await predictor()).toMatchObject({ generation: '2', generationExpired: false });
  expect((await api.post('/v1/predictors/repurchase/rollback')).status).toBe(200);
  expect(await predictor()).toMatchObject({ generation: '1', generationExpired: false });
});
