import type { RunPlanView, RunView } from '@tandem/wire/runs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestApi, type TestApi, workOff } from '../../api.fixture.ts';

let api: TestApi;
beforeAll(async () => {
  api = await createTestApi();
});
afterAll(() => api?.close());

const plan = async (query: string) => {
  const response = await api.get(`/v1/runs/plan?predictor=repurchase${query}`);
  return { status: response.status, body: (await response.json()) as RunPlanView };
};

describe('the plan of a run', () => {
  it('is rejected while there is no data, and says what to do', async () => {
    expect(await plan('')).toMatchObject({
      status: 409,
      body: {
        type: 'urn:tandem:problem:run_conflict',
        detail: 'No run of all users of repurchase has ended yet, so the effect of a budget cannot be estimated.',
      },
    });
  });

  it('estimates the effect of the requested budget and of others', async () => {
    const started = await api.post('/v1/runs', { predictor: 'repurchase', scope: 'all' });
    const run = (await started.json()) as RunView;
    expect(run.budget).toBeNull();
    await workOff(api, run.id);
    await api.pool.query('update tandem.chunks set cpu_ms = null where run_id = $1', [run.id]);
    expect(await plan('&cpuMinutes=1')).toMatchObject({
      status: 409,
      body: {
        detail: 'No run of repurchase has recorded its CPU time yet, so the effect of a budget cannot be estimated.',
      },
    });
    const unread = await plan('');
    expect(unread).toMatchObject({ status: 200, body: { predictor: 'repurchase', users: 9, asked: null } });
    expect(unread.body.budgets.map(({ share }) => share)).toEqual([1 / 9, 1 / 9, 3 / 9, 5 / 9, 1]);
    expect(unread.body.budgets.at(-1)).toMatchObject({ users: 9, reads: null, readsInterval: null, readers: null });
    // The last run took half a minute of CPU for each of nine users.
    await api.pool.query('update tandem.chunks set cpu_ms = 30000 * (scored + failed) where run_id = $1', [run.id]);
    for (let i = 0; i < 4; i++) await api.get('/v1/predictions/repurchase/1');
    await api.post('/v1/predictions/repurchase', { userIds: ['2', '1'] });
    const counted = () => api.pool.query<{ user_id: string }>('delete from tandem.read_demand returning user_id');
    await expect.poll(async () => (await counted()).rows.length, { timeout: 60_000 }).toBe(2);
    // Five users have half of the reads.
    await api.pool.query(`insert into tandem.read_demand
        (user_id, log_weight, log_recent, sampled_day, log_sampled, context_version)
      select n, log(2, reads) + days / 3, log(2, reads / 2) + days / 1.5, days - n % 10, log(2, reads) + days / 3 - 1, 0
      from (select extract(epoch from now()) / 86400) as d(days), generate_series(1, 1000) n,
        lateral (select case when n <= 5 then 200 else 1 end::numeric) as r(reads)`);
    const { asked } = (await plan('&cpuMinutes=2.5')).body;
    expect(asked).toMatchObject({ users: 5, share: 5 / 9, cpuMinutes: 2.5 });
    const { reads = null, readsInterval = null } = (await plan('&share=0.8')).body.asked ?? {};
    if (reads === null || readsInterval === null) throw new Error('no estimate');
    expect(reads).toBeGreaterThan(0.3);
    expect(reads).toBeLessThan(0.8);
    expect(readsInterval.low).toBeLessThan(reads - 0.02);
    expect(readsInterval.high).toBeGreaterThan(reads + 0.02);
    expect(asked?.reads).toBeLessThanOrEqual(reads);
    expect((await plan('&share=1')).body.asked).toMatchObject({ users: 9, share: 1, reads: 1, readers: 1 });
    // No run was started.
    const { runs } = (await (await api.get('/v1/runs')).json()) as { runs: RunView[] };
    expect(runs).toHaveLength(1);
  });

  it.each(['&share=0', '&share=1.5', '&share=', '&share=x', '&cpuMinutes=-1', '&share=0.1&cpuMinutes=1'])(
    'rejects %s, and says what a budget is',
    async (query) => {
      expect(await plan(query)).toMatchObject({
        status: 422,
        body: { detail: 'A budget must be either a share above 0 and up to 1, or cpuMinutes above 0.' },
      });
    },
  );

  it.each(['', '?predictor=', '?share=0.5'])('is rejected without a predictor: %j', async (query) => {
    const response = await api.get(`/v1/runs/plan${query}`);
    expect([response.status, await response.json()]).toMatchObject([
      422,
      { field: 'predictor', detail: 'The query parameter predictor is missing.' },
    ]);
  });

  it('is rejected for an unknown predictor, like a run with an invalid budget or with a budget for some users', async () => {
    expect((await api.get('/v1/runs/plan?predictor=nobody')).status).toBe(404);
    const start = async (body: object) =>
      (await api.post('/v1/runs', { predictor: 'repurchase', scope: 'all', ...body })).status;
    const [tooMuch, remedy] = ['expected a number above 0, up to 1', '"budget":{"share":0.25}}'];
    const refused = await api.post('/v1/runs', { predictor: 'repurchase', scope: 'all', budget: { share: 7 } });
    expect([refused.status, await refused.json()]).toMatchObject([
      422,
      { field: 'budget.share', detail: `budget.share: ${tooMuch}.`, remedy: expect.stringContaining(remedy) },
    ]);
    expect(await start({ budget: { share: 0.1, cpuMinutes: 1 } })).toBe(422);
    expect(await start({ scope: 'stale', budget: { share: 0.1 } })).toBe(422);
    const started = await api.post('/v1/runs', { predictor: 'repurchase', scope: 'all', budget: { share: 0.5 } });
    expect([started.status, await started.json()]).toMatchObject([202, { budget: { share: 0.5 } }]);
  });
});
