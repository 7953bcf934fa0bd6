import type { WorkerHost } from '@tandem/extension/extension';
import type { CanaryPlan } from '@tandem/freshness/rollout';
import { createAuthority } from '@tandem/offline-store/certificate/authority';
import { createRegister, readinessOf } from '@tandem/offline-store/processes/processes';
import { createPool } from '@tandem/offline-store/sql/database';
import { whyNotServed } from '@tandem/prediction/processes/processes';
import { createRunChunk } from '@tandem/prediction/runs/run-chunk';
import type { RunHints } from '@tandem/prediction/runs/run-store';
import { planNow, publishNow } from '@tandem/prediction/runs/steps.fixture';
import { silentLog } from '@tandem/telemetry/log';
import { cloneDatabase, type TestDatabase } from '@tandem/testing/databases';
import { linearModel } from '@tandem/testing/onnx-models';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { type BuiltDependencies, createDependencies } from '../../../../apps/worker/dependencies.ts';
import { startHousekeeping } from '../../../../apps/worker/housekeeping.ts';
import {
  adoptCustomers,
  CUSTOMERS,
  environmentOf,
  startWorkerRedis,
  type WorkerRedis,
} from '../../../../apps/worker/worker.fixture.ts';
import { analyseRollouts } from '../rules/analyse-rollouts.ts';
import { LATENCY_BOUNDS_MS, NO_COUNTS } from '../rules/arm-counts.ts';
import { prepareRollouts } from '../rules/prepare-rollouts.ts';
import { startRollout } from '../rules/start-rollout.ts';
import { createArmCountStore } from '../statements/arm-counts.ts';
import { createExposureStore } from '../statements/exposures.ts';
import { listChecks } from '../statements/rollout-checks.ts';
import { createRolloutStore } from '../statements/rollouts.ts';
import { openRolling, rolloutRound } from './move-rollouts.ts';

let redis: WorkerRedis;
beforeAll(async () => {
  redis = await startWorkerRedis();
});
afterAll(() => redis?.close());

let database: TestDatabase;
let pool: ReturnType<typeof createPool>;
let authority: ReturnType<typeof createAuthority>;
let worker: BuiltDependencies;
let host: Omit<WorkerHost, 'log'>;
let rolling: ReturnType<typeof openRolling>;
let rollouts: ReturnType<typeof createRolloutStore>;
const hints: RunHints = { plan: async () => {}, chunks: async () => {}, publish: async () => {}, load: async () => {} };

/** Adopts two model versions: version 2 serves, and version 1 counts as never served. */
beforeEach(async () => {
  database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  pool = createPool({ url: database.url, applicationName: 'worker-test' });
  authority = createAuthority(pool, { timeoutMs: 20_000 });
  rollouts = createRolloutStore(pool);
  await adoptCustomers(pool, { users: 50, chunkSize: 25 });
  await adoptCustomers(pool, { users: 50, chunkSize: 25, model: linearModel({ weights: [0.4, -0.2] }) });
  await pool.query(
    'delete from tandem.stable_history where model_version_id = (select id from tandem.model_versions where number = 1)',
  );
  worker = await createDependencies(environmentOf(database.url, redis.url), silentLog);
  const whyNot = async (ids: readonly string[]) => whyNotServed(await readinessOf(pool, ids));
  host = { pool, runs: worker.runs, hints, confirming: worker.confirming, whyNotServed: whyNot };
  rolling = openRolling(host);
});

afterEach(async () => {
  await worker.close();
  await authority.close();
  await pool.end();
  await database.drop();
});

const PLAN: CanaryPlan = {
  kind: 'canary',
  version: 1,
  steps: [5, 50, 100],
  coverage: 'required',
  analysis: {
    ...{ automatic: true, dryRun: false, intervalMs: 1, minStepMs: 0, minUsers: 100, alpha: 0.05 },
    guardrails: { errorRate: 0.02, slowShare: null, slowMs: 100, liveShare: null, psi: null },
    outcomes: [],
  },
};

const start = (plan: CanaryPlan = PLAN) =>
  startRollout({ rollouts, runs: worker.runs, hints }, { predictor: CUSTOMERS, plan, actor: 'test' });
const prepare = () => prepareRollouts(rolling);
const analyse = async () =>
  (await analyseRollouts(rolling)).analysed.map(({ check }) => [check.verdict, check.applied]);
const stateOf = async (id: string) => rollouts.find(id);

async function computeAll(): Promise<void> {
  for (const { id } of await worker.runs.list({ limit: 10 })) {
    await planNow(worker.runs, id);
    for (const no of [0, 1]) await createRunChunk({ ...worker.chunks, hints })(id, no);
    await publishNow(worker.runs, id, worker.loader);
  }
}

/** Counts `users` reads for each arm, `errors` of them failed, as an API process does. */
async function serve(
  rolloutId: string,
  step: number,
  users: Record<string, number>,
  errors: Record<string, number> = {},
  source: 'batch' | 'stale' = 'batch',
) {
  const exposures = createExposureStore(pool);
  const counts = createArmCountStore(pool);
  const [processId] = [crypto.randomUUID()];
  for (const [arm, count] of Object.entries(users)) {
    const place = { rolloutId, step, arm, source, contextVersion: 0, at: 0 };
    const each = Array.from({ length: count }, (_, i) => ({ ...place, userId: `${arm}${step}-${source}-${i}` }));
    await exposures.put(each, 0);
    const latency = LATENCY_BOUNDS_MS.map((_, i) => (i === 0 ? count : 0));
    const sums = { ...NO_COUNTS, reads: count, errors: errors[arm] ?? 0, latency: [...latency, 0], users: count };
    await counts.put([{ rolloutId, step, arm, source, processId, counts: sums }]);
  }
}

describe('a canary', () => {
  it('begins after its generation is published and every API process is ready, and says what it waits for', async () => {
    const { id } = await start();
    const api = { id: crypto.randomUUID(), kind: 'api' as const, host: 'one', pid: 7, release: '1' };
    const register = createRegister(pool, api);
    await register.beat([]);
    expect((await prepare()).waiting).toMatchObject([
      {
        why: [
          expect.stringMatching(/has no generation yet, run .* has scored 0 of/),
          expect.stringContaining('api 7 on one has not loaded model version 1'),
        ],
      },
    ]);
    expect((await stateOf(id))?.reason).toMatch(/^waits: model version 1 has no generation yet/);
    await computeAll();
    const [version] = (await stateOf(id))?.arms ?? [];
    const report = { modelVersionId: version?.modelVersionId ?? '' };
    await register.beat([{ ...report, state: 'failed', error: 'not enough memory' }]);
    expect((await prepare()).waiting).toMatchObject([
      { why: [expect.stringContaining('cannot load model version 1 of customers: not enough memory')] },
    ]);
    expect(await stateOf(id)).toMatchObject({ state: 'preparing' });
    await register.beat([{ ...report, state: 'ready', error: null }]);
    expect((await prepare()).begun).toMatchObject([
      { id, state: 'running', step: 0, arms: [{ endBucket: 500, generationNumber: 1 }] },
    ]);
    expect(await prepare()).toEqual({ begun: [], waiting: [], aborted: [], failed: [] });
  });

  it('that an operator aborts during a judgement is not recorded as aborted by the verdict', async () => {
    const { id } = await start();
    await computeAll();
    await prepare();
    await serve(id, 0, { stable: 19_000, candidate: 1_000 });
    const { checks } = rolling;
    const served: typeof checks.served = async (rollout) => {
      const found = await checks.served(rollout);
      await rollouts.abort(rollout.id, { actor: 'ops', reason: 'a test' });
      return found;
    };
    const { analysed, failed } = await analyseRollouts({ ...rolling, checks: { ...checks, served } });
    expect(analysed.map(({ check }) => [check.verdict, check.applied])).toEqual([['promote', false]]);
    expect(failed).toEqual([]);
    expect(await listChecks(pool, id, 9)).toMatchObject([{ verdict: 'promote', applied: false }]);
    expect(await stateOf(id)).toMatchObject({ state: 'aborted', reason: 'a test' });
  });

  it('advances step by step while its guardrails hold, and its version becomes stable', async () => {
    const { id } = await start();
    await computeAll();
    await prepare();
    expect(await analyse()).toEqual([['hold', false]]);
    expect((await stateOf(id))?.reason).toMatch(/no|nobody|fewer/i);
    await serve(id, 0, { stable: 19_000, candidate: 1_000 });
    expect(await analyse()).toEqual([['promote', true]]);
    expect(await stateOf(id)).toMatchObject({ state: 'running', step: 1, arms: [{ endBucket: 5_000 }] });
    await serve(id, 1, { stable: 5_000, candidate: 5_000 });
    expect(await analyse()).toEqual([['promote', true]]);
    expect(await stateOf(id)).toMatchObject({ state: 'promoted' });
    expect((await authority.certify([])).assignments(CUSTOMERS)?.stable).toMatchObject({
      modelNumber: 1,
      generation: { number: 1 },
    });
    const { rows } = await pool.query(
      `select actor, action, detail -> 'figures' -> 'checks' as checks from tandem.audit where actor = 'analysis' order by seq`,
    );
    expect(rows).toMatchObject([{ action: 'advance_rollout' }, { action: 'advance_rollout' }]);
    expect(rows[0].checks.map(({ name }: { name: string }) => name)).toContain('errorRate');
  });

  it('waits for no generation if its version needs request features', async () => {
    const [request, columns] = [[{ name: 'amount', kind: 'number' as const }], ['recency', 'amount']];
    await adoptCustomers(pool, { users: 50, chunkSize: 25, request, columns });
    await adoptCustomers(pool, { users: 50, chunkSize: 25, model: linearModel({ weights: [0.4, -0.2] }) });
    await pool.query(
      'delete from tandem.stable_history where model_version_id = (select id from tandem.model_versions where number = 3)',
    );
    const { id } = await start({ ...PLAN, version: 3, steps: [50, 100] });
    await prepare();
    await serve(id, 0, { stable: 5_000, candidate: 5_000 }, {}, 'stale');
    expect(await analyse()).toEqual([['promote', true]]);
    expect(await stateOf(id)).toMatchObject({ state: 'promoted' });
  });

  it('that fails more often than the stable version is aborted automatically, with the figures in the audit', async () => {
    const { id } = await start();
    await computeAll();
    await prepare();
    await serve(id, 0, { stable: 19_000, candidate: 1_000 }, { stable: 19, candidate: 120 });
    expect(await analyse()).toEqual([['roll_back', true]]);
    expect(await stateOf(id)).toMatchObject({
      state: 'aborted',
      reason: expect.stringContaining('reads without a prediction'),
    });
    expect((await authority.certify([])).assignments(CUSTOMERS)).toMatchObject({
      rollout: null,
      stable: { modelNumber: 2 },
    });
  });

  it('is rolled back automatically if its failed live reads are answered stale', async () => {
    const guardrails = { ...PLAN.analysis.guardrails, staleShare: 0.05 };
    const { id } = await start({ ...PLAN, coverage: 'live', analysis: { ...PLAN.analysis, guardrails } });
    await prepare();
    await serve(id, 0, { stable: 19_000, candidate: 370 });
    await serve(id, 0, { candidate: 630 }, {}, 'stale');
    expect(await analyse()).toEqual([['roll_back', true]]);
    expect(await stateOf(id)).toMatchObject({
      state: 'aborted',
      reason: expect.stringContaining('stale answers: 63 % in candidate and 0 % in stable'),
    });
  });

  it('holds and says why if outcomes cannot be counted, and is still rolled back for errors', async () => {
    const outcome = { name: 'order', kind: 'binary', windowMs: 1, better: 'higher', guardrail: true } as const;
    const outcomes = [{ ...outcome, minimumEffect: 0.5 }];
    const { id } = await start({ ...PLAN, analysis: { ...PLAN.analysis, outcomes } });
    await computeAll();
    await prepare();
    await serve(id, 0, { stable: 19_000, candidate: 1_000 });
    await pool.query('alter table tandem.outcomes rename to outcomes_away');
    const { analysed, failed } = await analyseRollouts(rolling);
    expect(analysed).toMatchObject([
      { check: { verdict: 'hold', applied: false, judgement: { reason: 'look_failed' } } },
    ]);
    expect(failed).toMatchObject([{ rollout: { id } }]);
    const reason =
      'the last look failed, and the rollout holds until a look succeeds: relation "tandem.outcomes" does not exist';
    expect(await stateOf(id)).toMatchObject({ state: 'running', step: 0, reason });
    await serve(id, 0, { candidate: 500 }, { candidate: 120 });
    expect(await analyse()).toEqual([['roll_back', true]]);
    expect(await stateOf(id)).toMatchObject({
      state: 'aborted',
      reason: expect.stringContaining('without a prediction'),
    });
  });

  it('logs a separate warning if a look fails', async () => {
    const { id } = await start();
    await computeAll();
    await prepare();
    await pool.query('alter table tandem.exposure_counts rename to counts_away');
    const { promise: told, resolve } = Promise.withResolvers<unknown>();
    const log = {
      ...silentLog,
      warn: (event: string, facts: unknown) => event === 'rollout.look_failed' && resolve(facts),
    };
    const housekeeping = startHousekeeping({
      ...worker,
      more: [{ ...rolloutRound({ ...host, log: log as never }), everyMs: 20 }],
    });
    expect(await told).toMatchObject({
      rolloutId: id,
      verdict: 'hold',
      why: expect.stringContaining('exposure_counts'),
    });
    await housekeeping.stop();
  });

  it('holds if its counts cannot be read, and other rollouts are still judged', async () => {
    const { id } = await start();
    await computeAll();
    await prepare();
    await serve(id, 0, { stable: 19_000, candidate: 1_000 });
    await pool.query('alter table tandem.exposure_counts rename to counts_away');
    expect(await analyse()).toEqual([['hold', false]]);
    expect(await listChecks(pool, id, 9)).toMatchObject([{ judgement: { reason: 'look_failed', checks: [] } }]);
    await pool.query('alter table tandem.counts_away rename to exposure_counts');
    expect(await analyse()).toEqual([['promote', true]]);
  });

  it.each([
    [
      'alert',
      { state: 'running', reason: expect.stringMatching(/^the verdict is still hold after the deadline of 0 s: /) },
    ],
    [
      'roll_back',
      { state: 'aborted', reason: expect.stringMatching(/^the verdict is still hold after the deadline of 0 s/) },
    ],
  ] as const)('that holds past its deadline alerts or rolls back, as configured: %s', async (onDeadline, after) => {
    const { id } = await start({
      ...{ ...PLAN, coverage: 'live' },
      analysis: { ...PLAN.analysis, holdDeadlineMs: 0, onDeadline },
    });
    await prepare();
    expect(await analyse()).toEqual([onDeadline === 'alert' ? ['hold', false] : ['roll_back', true]]);
    expect(await stateOf(id)).toMatchObject(after);
  });

  it.each([
    [
      'alert',
      { state: 'preparing', reason: expect.stringMatching(/^preparation exceeded its deadline of 60 s; waits: /) },
    ],
    [
      'roll_back',
      { state: 'aborted', reason: expect.stringMatching(/^preparation exceeded its deadline of 60 s; waits/) },
    ],
  ] as const)('that prepares past its deadline alerts or rolls back, as configured: %s', async (onDeadline, after) => {
    const { id } = await start({ ...PLAN, analysis: { ...PLAN.analysis, preparingDeadlineMs: 60_000, onDeadline } });
    expect((await prepare()).aborted).toEqual([]);
    await pool.query(`update tandem.rollouts set created_at = created_at - interval '61 s' where id = $1`, [id]);
    expect((await prepare()).aborted).toHaveLength(onDeadline === 'alert' ? 0 : 1);
    expect(await stateOf(id)).toMatchObject(after);
  });

  it('is judged but not moved in a dry run, and says what the verdict would have done', async () => {
    const { id } = await start({ ...PLAN, coverage: 'live', analysis: { ...PLAN.analysis, dryRun: true } });
    await prepare();
    await serve(id, 0, { stable: 19_000, candidate: 1_000 }, { candidate: 120 });
    expect(await analyse()).toEqual([['roll_back', false]]);
    expect(await stateOf(id)).toMatchObject({
      state: 'running',
      reason: expect.stringMatching(/^would be aborted: /),
    });
  });

  it('that is held does not advance, but is aborted if it is harmful', async () => {
    const { id } = await start({ ...PLAN, coverage: 'live' });
    await prepare();
    await rollouts.hold(id, { actor: 'ops', reason: 'a look' });
    await serve(id, 0, { stable: 19_000, candidate: 1_000 });
    expect(await analyse()).toEqual([['promote', false]]);
    await serve(id, 0, { candidate: 1 }, { candidate: 300 });
    expect(await analyse()).toEqual([['roll_back', true]]);
    expect(await stateOf(id)).toMatchObject({ state: 'aborted' });
  });

  it('is judged by one worker at a time, at the interval of its plan', async () => {
    const { id } = await start({ ...PLAN, coverage: 'live', analysis: { ...PLAN.analysis, intervalMs: 3_600_000 } });
    await prepare();
    const both = await Promise.all([analyseRollouts(rolling), analyseRollouts(rolling)]);
    expect(both.flatMap(({ analysed }) => analysed)).toHaveLength(1);
    expect(await analyse()).toEqual([]);
    expect(await stateOf(id)).toMatchObject({ state: 'running' });
  });
});

it('a shadow begins at once, because no serving process loads its model version', async () => {
  const plan = { kind: 'shadow', version: 1, share: 0.5, maxPerSecond: 10 } as const;
  const { id } = await startRollout(
    { rollouts, runs: worker.runs, hints },
    { predictor: CUSTOMERS, plan, actor: 'test' },
  );
  const api = { id: crypto.randomUUID(), kind: 'api' as const, host: 'one', pid: 7, release: '1' };
  const wanted = await createRegister(pool, api).beat([]);
  expect(wanted.map(({ modelVersionId }) => modelVersionId)).not.toContain(
    (await stateOf(id))?.arms[0]?.modelVersionId,
  );
  expect((await prepare()).begun).toMatchObject([{ id, state: 'running', reason: 'its answers are compared' }]);
  expect(await analyse()).toEqual([]);
  expect((await worker.runs.list({ limit: 10 })).length).toBe(0);
});
