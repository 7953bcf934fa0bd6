import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestApi, type TestApi } from '../../../../apps/api/api.fixture.ts';

let api: TestApi;
beforeAll(async () => {
  api = await createTestApi();
});
afterAll(() => api?.close());

it('users of a request that failed as a whole are not counted as served', async () => {
  // An A/B test without arms, so that the stable arm serves every user.
  await api.pool.query(
    `insert into tandem.rollouts (predictor, number, kind, state, salt, plan, overlay_floor, created_by)
      values ('repurchase', 1, 'ab', 'running', 's', '{}', 1, 'test')`,
  );
  const inputs = [{ name: 'user_id', datatype: 'BYTES', shape: [2], data: ['1', '777'] }];
  const failed = await api.post('/v2/models/repurchase.hybrid/infer', { inputs });
  expect(failed.status).toBe(404);
  const outputs = [{ name: 'score' }, { name: 'tandem.error' }];
  const one = [{ ...inputs[0], shape: [1], data: ['2'] }];
  expect((await api.post('/v2/models/repurchase.hybrid/infer', { inputs: one, outputs })).status).toBe(200);
  await api.dependencies.close();
  const { rows } = await api.pool.query('select user_id, arm, source from tandem.exposures order by user_id');
  expect(rows).toEqual([{ user_id: '2', arm: 'stable', source: 'live' }]);
});
