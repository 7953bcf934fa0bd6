/**
 * Measures a look at a rollout, and the comparison before a publication, with more rows than a statement can read
 * within its time limit. A look reads counts that triggers maintain. Outcomes are counted in slices, and the comparison
 * falls back to a sample. Exposures of 1 and of 10 million users are inserted without triggers, then counted as the
 * migration counts them.
 */
import { randomUUID } from 'node:crypto';
import type { OutcomeMetric, Rollout } from '@tandem/freshness/rollout';
import { compareWithServed } from '@tandem/offline-store/generations/generation-reports-compare';
import { transaction } from '@tandem/offline-store/sql/database';
import { createPartition, partitionOf } from '@tandem/offline-store/sql/partition';
import type { Run } from '@tandem/prediction/runs/runs';
import { createExposureStore } from '@tandem/rollouts/statements/exposures';
import { createRolloutChecks } from '@tandem/rollouts/statements/rollout-checks';
import { type Figure, figureOf } from '../section.ts';
import { adoptBench, type BenchServers } from '../service.ts';
import type { Law } from './law.ts';

const MILLION = 1_000_000;
/** The time that the look of a worker spends on outcomes. A slice that begins within this time is finished. */
const OUTCOMES_MS = 2_000;
const ORDERED: OutcomeMetric = {
  ...{ name: 'order', kind: 'binary', windowMs: 86_400_000, better: 'higher', guardrail: true, minimumEffect: 0.05 },
};
type Step = Pick<Rollout, 'id' | 'step'>;

export const rolloutLooks: Law = {
  name: 'rollout-looks',
  promise: 'a look at a rollout and a comparison before a publication take bounded time',
  async measure(servers, say) {
    await adoptBench(servers, 100);
    const rollout = await insertRollout(servers);
    say('1 million exposures, and as many outcomes');
    await seedExposures(servers, rollout, 0, MILLION);
    await seedOutcomes(servers);
    const million = await lookAt(servers, rollout);
    const inserts = await compareInserts(servers, rollout);
    say('10 million exposures');
    await seedExposures(servers, rollout, MILLION, 10 * MILLION);
    const tenMillion = await lookAt(servers, rollout);
    say('a comparison of a million users that has half of its time');
    const compared = await compareLate(servers);
    return [
      { name: 'look at errors and times, 1 M exposures', value: million.servedMs, unit: 'ms', target: { most: 250 } },
      {
        name: 'look at errors and times, 10 M exposures',
        value: tenMillion.servedMs,
        unit: 'ms',
        target: { most: 250 },
      },
      {
        name: 'part of a look at outcomes, 1 M exposures',
        value: million.outcomesMs,
        unit: 'ms',
        target: { most: 5_000 },
      },
      {
        name: 'part of a look at outcomes, 10 M exposures',
        value: tenMillion.outcomesMs,
        unit: 'ms',
        target: { most: 5_000 },
      },
      { name: 'all outcomes of 1 M users', value: million.passMs, unit: 'ms' },
      ...inserts,
      ...compared,
    ];
  },
};

async function insertRollout({ pool }: BenchServers): Promise<Step> {
  const { rows } = await pool.query<{ id: string }>(
    `insert into tandem.rollouts (predictor, number, kind, state, salt, plan, overlay_floor, created_by, step_started_at)
      values ('bench', 1, 'canary', 'running', 's', '{}', 1, 'bench', now() - interval '3 days') returning id`,
  );
  return { id: rows[0]?.id ?? '', step: 0 };
}

/** Inserts exposures of the users from..to. One user of twenty is in the candidate arm. */
async function seedExposures({ pool }: BenchServers, { id }: Step, from: number, to: number): Promise<void> {
  await transaction(pool, async (db) => {
    await db.query(`set local session_replication_role = replica; set local maintenance_work_mem = '512MB';
      alter table tandem.exposures drop constraint exposures_pkey`);
    await db.query(
      `insert into tandem.exposures (rollout_id, step, user_id, arm, source, at, context_version)
        select $1, 0, n::text, case n % 20 when 0 then 'candidate' else 'stable' end, 'batch', now() - interval '2 days', 0
        from generate_series($2::int, $3::int) n`,
      [id, from + 1, to],
    );
    await db.query(
      `alter table tandem.exposures add primary key (rollout_id, step, user_id, arm) include (source, at)`,
    );
    await db.query(
      `insert into tandem.exposure_counts as c
      select rollout_id, step, arm, source, floor(extract(epoch from at) / 86400)::int, $1 from tandem.exposures limit 1
      on conflict (rollout_id, step, arm, source, day) do update set users = excluded.users`,
      [to],
    );
  });
  await pool.query('vacuum analyze tandem.exposures');
}

/** Inserts an outcome for each of the first million users, within the outcome window of the user. */
async function seedOutcomes({ pool }: BenchServers): Promise<void> {
  await pool.query(`insert into tandem.outcomes (source, id, payload_hash, user_id, name, value, time, context_version)
    select 'shop', n::text, '\\x00', n::text, 'order', 1, now() - interval '47 hours', 0 from generate_series(1, ${MILLION}) n`);
  await pool.query('vacuum analyze tandem.outcomes');
}

async function timed<T>(work: () => Promise<T>): Promise<readonly [ms: number, result: T]> {
  const started = performance.now();
  const result = await work();
  return [performance.now() - started, result];
}

/** Measures the two parts of a look, then the remainder of the pass over outcomes. */
async function lookAt({ pool }: BenchServers, step: Step) {
  const checks = createRolloutChecks(pool);
  const rollout = step as Rollout;
  const [servedMs] = await timed(() => checks.served(rollout));
  const [outcomesMs] = await timed(() => checks.outcomes(rollout, [ORDERED], OUTCOMES_MS));
  const [restMs] = await timed(() => checks.outcomes(rollout, [ORDERED], 60_000));
  return { servedMs, outcomesMs, passMs: outcomesMs + restMs };
}

const ROUNDS = 5;
const BATCHES = 2;
const BATCH = 5_000;

/** Compares inserts with and without counting, in alternating rounds. */
async function compareInserts(servers: BenchServers, step: Step): Promise<readonly Figure[]> {
  const counted: number[] = [];
  const ratios: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    counted.push(await insertsPerSecond(servers, step, true));
    ratios.push((counted[round] ?? 0) / (await insertsPerSecond(servers, step, false)));
  }
  return [
    figureOf('inserts of exposures, counted', 'users/s', counted),
    figureOf('inserts of exposures, counted / not counted', 'ratio', ratios, { least: 0.6 }),
  ];
}

/** Measures inserts of new users through the exposure store, from four callers in parallel. */
async function insertsPerSecond({ pool }: BenchServers, { id, step }: Step, isCounted: boolean): Promise<number> {
  const verb = isCounted ? 'enable' : 'disable';
  await pool.query(`alter table tandem.exposures ${verb} trigger exposures_inserted`);
  const store = createExposureStore(pool);
  const put = async () => {
    for (let batch = 0; batch < BATCHES; batch++) {
      const users = Array.from({ length: BATCH }, (_, i) => ({
        ...{ rolloutId: id, step, arm: i % 20 === 0 ? 'candidate' : 'stable', userId: randomUUID() },
        ...{ source: 'batch' as const, contextVersion: 0, at: 0 },
      }));
      await store.put(users, 0);
    }
  };
  const [ms] = await timed(() => Promise.all([put(), put(), put(), put()]));
  await pool.query('alter table tandem.exposures enable trigger exposures_inserted');
  return (4 * BATCHES * BATCH) / (ms / 1_000);
}

async function compareLate(servers: BenchServers): Promise<readonly Figure[]> {
  const { pool } = servers;
  const served = await insertGeneration(servers, 1, 'done');
  await pool.query(`update tandem.arms set generation_id = $1 where predictor = 'bench'`, [served.generationId]);
  const run = await insertGeneration(servers, 2, 'publishing');
  const policy = (publish: object) =>
    pool.query(`update tandem.predictors set policy = policy || $1::jsonb`, [JSON.stringify({ publish })]);
  const compare = () => compareWithServed({ pool, features: pool }, run, new AbortController().signal);
  const limits = { maxPsi: null, maxFlipRate: null, maxMeanDelta: 1e9, minCoverage: null, minUsers: 100 };
  await policy({ ...limits, reportTimeoutMs: 60_000 });
  const [wholeMs, whole] = await timed(compare);
  await policy({ ...limits, reportTimeoutMs: Math.ceil(wholeMs / 2) });
  const [sampleMs, sample] = await timed(compare);
  if (whole?.sample || whole?.verdict !== 'passed') throw new Error(`not compared in a minute: ${whole?.notes.join()}`);
  return [
    { name: 'comparison of all 1 M users', value: wholeMs, unit: 'ms' },
    {
      name: 'in half of that time: judged by a sample (1: yes)',
      value: sample?.outOfTime === 'sampled' && sample.verdict === 'passed' ? 1 : 0,
      unit: 'count',
      target: { least: 1 },
    },
    {
      name: 'in half of that time: all of the comparison / its time',
      value: sampleMs / Math.ceil(wholeMs / 2),
      unit: 'ratio',
      target: { most: 2.2 },
    },
    { name: 'users of the sample', value: sample?.sample?.users ?? 0, unit: 'count', target: { least: 90_000 } },
  ];
}

async function insertGeneration({ pool }: BenchServers, number: number, state: string): Promise<Run> {
  const { rows } = await pool.query<{ id: string; modelVersionId: string }>(
    `with run as (
        insert into tandem.runs (predictor, scope, model_version_id, overlay_floor, state, reason, history)
        select 'bench', 'all', model_version_id, 0, $2, 'bench', 'h' from tandem.arms where predictor = 'bench' returning *)
      insert into tandem.generations (predictor, number, model_version_id, run_id, history, buckets, users)
      select 'bench', $1, model_version_id, id, history, 1, ${MILLION} from run
      returning id, model_version_id as "modelVersionId"`,
    [number, state],
  );
  const { id = '', modelVersionId = '' } = rows[0] ?? {};
  await transaction(pool, (db) => createPartition(db, id));
  await pool.query(`insert into ${partitionOf(id)}
    select '${id}', n::text, 0, now(), decode(lpad(to_hex(n % 1000), 8, '0'), 'hex') from generate_series(1, ${MILLION}) n`);
  await pool.query(`analyze ${partitionOf(id)}`);
  return { predictor: 'bench', generationId: id, modelVersionId } as Run;
}
