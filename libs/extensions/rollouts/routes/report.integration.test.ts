import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { analyseRollouts } from '../rules/analyse-rollouts.ts';
import { createRolloutChecks } from '../statements/rollout-checks.ts';
import type { RolloutReportView } from '../wire/rollout-report.ts';
import { createRolloutsApi, type RolloutsApi } from './rollouts-api.fixture.ts';

let api: RolloutsApi;
beforeAll(async () => {
  api = await createRolloutsApi();
});
afterAll(() => api?.close());

const CANARY = { kind: 'canary', version: '1', steps: [5, 50, 100], coverage: 'live' };
const ANALYSIS = { minUsers: 100, minStep: '1ms', interval: '1s', slowShare: null, psi: null };
const report = async (id: string) => {
  const response = await api.get(`/v1/rollouts/${id}/report`);
  expect(response.status).toBe(200);
  return (await response.json()) as RolloutReportView;
};
const analyse = () => analyseRollouts({ rollouts: api.rollouts, checks: createRolloutChecks(api.pool) });

describe('the report of a canary', () => {
  it('shows users, sources and the verdict, and the checks show earlier findings', async () => {
    const { id } = await api.start({ ...CANARY, analysis: ANALYSIS });
    expect(await report(id)).toMatchObject({ elapsedSeconds: 0, judgement: { verdict: 'hold', reason: 'no_traffic' } });
    await api.begin(id);
    await api.serve(id, { stable: { users: 19_000, errors: 19 }, candidate: { users: 1_000 } });
    const found = await report(id);
    expect(found).toMatchObject({
      rollout: { id, state: 'running', percent: 5 },
      arms: [
        { variant: 'stable', users: 19_000, reads: 19_000, errors: 19, slow: 0, sources: { batch: 19_000 } },
        { variant: 'candidate', users: 1_000, errors: 0 },
      ],
      judgement: { verdict: 'promote', reason: 'not_worse' },
      outcomes: [],
      multipleExposures: 0,
      newUsers: [{ users: 20_000 }],
    });
    expect(found.judgement.checks.map(({ name, state }) => [name, state])).toContainEqual(['errorRate', 'pass']);
    expect((await analyse()).analysed).toHaveLength(1);
    const { checks } = (await (await api.get(`/v1/rollouts/${id}/checks?limit=1`)).json()) as { checks: unknown[] };
    expect(checks).toMatchObject([{ step: 0, applied: true, judgement: { verdict: 'promote' } }]);
    expect(await report(id)).toMatchObject({ rollout: { step: 1 }, judgement: { reason: 'no_traffic' } });
    expect(await (await api.get(`/v1/rollouts/${id}/checks?limit=0`)).json()).toMatchObject({ field: 'limit' });
  });

  it('still says why the canary was aborted', async () => {
    const { id } = await api.start({ ...CANARY, analysis: ANALYSIS });
    await api.begin(id);
    await api.serve(id, { stable: { users: 19_000 }, candidate: { users: 1_000, errors: 120 } });
    await analyse();
    expect(await report(id)).toMatchObject({
      rollout: { state: 'aborted', reason: expect.stringContaining('reads without a prediction') },
      arms: [{ variant: 'stable' }, { variant: 'candidate', users: 1_000, errors: 120 }],
      judgement: { verdict: 'roll_back', reason: 'guardrail_worse' },
    });
  });
});

describe('the report of an A/B test', () => {
  it('compares outcomes with an interval that is valid at every look, and estimates no days on the first day', async () => {
    const { id } = await api.start({
      kind: 'ab',
      arms: [{ variant: 'second', version: '1', weight: 50 }],
      coverage: 'live',
      analysis: { ...ANALYSIS, outcomes: [{ name: 'order', window: '1ms', minimumEffect: 0.05 }] },
    });
    await api.begin(id);
    await api.serve(id, { stable: { users: 4_000 }, second: { users: 4_000 } });
    // Every fifth user of stable ordered at once, and every fourth user of the other arm.
    await api.pool.query(
      `insert into tandem.outcomes (source, id, payload_hash, user_id, name, value, time, context_version)
        select 'shop', user_id, '\\x00', user_id, 'order', 1, at, 0 from tandem.exposures
        where rollout_id = $1 and split_part(user_id, '-', 2)::int % case arm when 'stable' then 5 else 4 end = 0`,
      [id],
    );
    const { outcomes, judgement } = await report(id);
    expect(judgement).toMatchObject({ verdict: expect.stringMatching(/promote|hold/) });
    expect(outcomes).toMatchObject([
      {
        ...{ name: 'order', variant: 'second', eValue: expect.any(Number) },
        cap: null,
        stable: { users: 4_000, mean: 0.2, largest: 1 },
        arm: { users: 4_000, mean: 0.25, largest: 1 },
        relative: { estimate: expect.closeTo(0.25, 6) },
        sofar: { stable: { users: 4_000, mean: 0.2 }, arm: { users: 4_000, mean: 0.25 } },
        moreDays: null,
        usersNeeded: expect.any(Number),
        conclusion: { kind: 'better', text: 'order: second is better than stable: +25 %' },
      },
    ]);
    const [{ relative, pValue } = { relative: null, pValue: 1 }] = outcomes;
    expect(relative?.lower).toBeGreaterThan(0);
    expect(relative?.upper).toBeGreaterThan(0.25);
    expect(pValue).toBeLessThan(0.05);
    expect(await api.post(`/v1/rollouts/${id}/end`)).toMatchObject({ status: 200 });
    expect((await report(id)).outcomes).toMatchObject([{ arm: { mean: 0.25 } }]);
  });

  it('points to the shadow report for a shadow', async () => {
    const { id } = await api.start({ kind: 'shadow', version: '1' });
    const response = await api.get(`/v1/rollouts/${id}/report`);
    expect([response.status, await response.json()]).toMatchObject([
      409,
      { remedy: `read GET /v1/rollouts/${id}/shadow-report instead` },
    ]);
  });
});
