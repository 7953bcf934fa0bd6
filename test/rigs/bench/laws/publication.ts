/**
 * Measures how long the assignments stay locked while they are changed: with many erased users, a large generation, a
 * large model file, and a wait for another session. Erasures and every change of an arm wait for that lock.
 *
 * 5 million rows suffice to show the bound at 20 million. Indexing and clearing take longer with more rows, but they
 * happen outside the lock. A plan reads the feature query once, with or without erased users.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { createGenerationStore } from '@tandem/offline-store/generations/generations';
import { createExpiries } from '@tandem/offline-store/retention';
import { createReportStore, createRunStore } from '@tandem/offline-store/runs/run-store';
import { sqlState } from '@tandem/offline-store/sql/database';
import { expire } from '@tandem/prediction/runs/expire';
import { createRolloutStore } from '@tandem/rollouts/statements/rollouts';
import { linearModel } from '@tandem/testing/onnx-models';
import { adoptBench, adoptPredictor, FEATURES } from '../predictors.ts';
import type { Figure } from '../section.ts';
import type { BenchServers } from '../service.ts';
import type { Law } from './law.ts';
import { storeErasures, storeGeneration } from './stored-generations.ts';

const USERS = 1_000_000;
const ROWS = Number(process.env.LAWS_ROWS ?? 5_000_000);
const ERASED = 1_000_000;
const MODEL_BYTES = 64 * 1024 * 1024;
const MOST_MS = 100;
const PLANS = 3;
const ENDED = 5;
const CHECKS = 40_000;
const MOST_ENDED_MS = 500;

type Pool = BenchServers['pool'];

const NOTHING_LOST = async () => true;

export const publication: Law = {
  name: 'publication',
  promise: `changes lock the assignments for less than ${MOST_MS} ms`,
  async measure(servers, say) {
    const { pool } = servers;
    await adoptBench(servers, USERS);
    const planMs = await planEveryone(pool);
    say(`${ERASED} erasures`);
    await storeErasures(pool, ERASED, 4);
    const plan = `plan of ${USERS} users: with ${ERASED} erased / with none`;
    const ratio = (await planEveryone(pool)) / planMs;
    say(`${plan}: ${ratio.toFixed(2)}; then ${ROWS} rows of a generation`);
    const figures: Figure[] = [{ name: plan, unit: 'ratio', value: ratio }];
    const large = await storeGeneration(pool, { predictor: 'bench', rows: ROWS, state: 'publishing' });
    const held = await storeGeneration(pool, { predictor: 'bench', rows: 1_000_000, state: 'failed' });
    const take = async (name: string, work: () => Promise<unknown>, mostMs = MOST_MS) => {
      const startedAt = performance.now();
      const longestMs = await longestLock(pool, work);
      say(`${name}: locked for ${longestMs.toFixed(1)} ms of ${(performance.now() - startedAt).toFixed(0)} ms`);
      figures.push({ name: `${name}: longest lock`, unit: 'ms', value: longestMs, target: { most: mostMs } });
    };
    await take(`publication of ${ROWS} rows, ${ERASED} users erased`, () => publish(pool, large.runId));
    await holdBack(pool, held.id);
    await take(`approval of 1000000 rows, ${ERASED} users erased`, () => approve(pool, held.number));
    await take('rollback', () =>
      createGenerationStore(pool).rollBack({ predictor: 'bench', to: large.number, actor: 'law' }),
    );
    const artifact = linearModel({ weights: FEATURES.map(() => 0.5) });
    await take('adoption of another version', () => adoptPredictor(servers, { name: 'bench', artifact, users: USERS }));
    await take('canary and promotion', () => promote(pool));
    await take('removal of a generation while a plan reads others', () => dropDuringScan(servers));
    await take('adoption of a model file of 64 MB', () => adoptLarge(servers));
    await storeEndedRollouts(pool);
    // The cascade still visits the index entries of the checks that were deleted just before.
    await take(
      `removal of ${ENDED} ended rollouts with ${CHECKS} checks each`,
      () => expire(createExpiries(pool), { pause: () => Promise.resolve() }),
      MOST_ENDED_MS,
    );
    return figures;
  },
};

/**
 * Returns the longest time for which another session finds the assignments locked during `work`. That session looks
 * every millisecond.
 */
async function longestLock(pool: Pool, work: () => Promise<unknown>): Promise<number> {
  const client = await pool.connect();
  let longestMs = 0;
  let isOver = false;
  const looking = (async () => {
    for (let lockedAt: number | null = null; !isOver; await pause(1)) {
      const lookedAt = performance.now();
      const isFree = await client.query('select from tandem.settings for update nowait').then(
        () => true,
        (error: unknown) => {
          if (sqlState(error) === '55P03') return false;
          throw error;
        },
      );
      // The lock counts until the start of the look that finds it free, because that look may wait for the disk.
      if (lockedAt !== null) longestMs = Math.max(longestMs, lookedAt - lockedAt);
      if (isFree) lockedAt = null;
      else lockedAt ??= lookedAt;
    }
  })();
  try {
    await work();
  } finally {
    isOver = true;
    await looking.finally(() => client.release(true));
  }
  return longestMs;
}

/** Plans a run of all users several times, and returns the shortest time in ms. */
async function planEveryone(pool: Pool): Promise<number> {
  const runs = createRunStore(pool);
  const took: number[] = [];
  for (let i = 0; i < PLANS; i++) {
    const asked = { predictor: 'bench', scope: { kind: 'all' }, reason: 'law', scheduleSlot: null } as const;
    const { run } = await runs.create(asked);
    const claimed = await runs.claimStep(run.id, 'plan', 600_000);
    if (!claimed || 'failed' in claimed) throw new Error('there is nothing to plan');
    const startedAt = performance.now();
    await runs.plan(claimed, new AbortController().signal);
    took.push(performance.now() - startedAt);
    await runs.cancel(run.id);
  }
  return Math.min(...took);
}

async function publish(pool: Pool, runId: string): Promise<void> {
  const runs = createRunStore(pool);
  const claimed = await runs.claimStep(runId, 'publish', 600_000);
  if (!claimed || 'failed' in claimed) throw new Error('there is nothing to publish');
  const outcome = await runs.publish(claimed, new AbortController().signal, NOTHING_LOST);
  if (outcome?.state !== 'done') throw new Error(`not published: ${outcome?.note}`);
}

/** Stores a generation in the state in which a comparison leaves it when it holds the generation back. */
async function holdBack(pool: Pool, id: string): Promise<void> {
  await pool.query(`create unique index on tandem.generation_${id.replaceAll('-', '')} (user_id)`);
  await pool.query(
    `insert into tandem.generation_reports (generation_id, verdict, report) values ($1, 'blocked', '{}')`,
    [id],
  );
}

async function approve(pool: Pool, generation: number): Promise<void> {
  await createReportStore(pool, NOTHING_LOST).approve({ predictor: 'bench', generation, actor: 'law' });
}

async function promote(pool: Pool): Promise<void> {
  const rollouts = createRolloutStore(pool);
  const change = { actor: 'law', reason: 'law' };
  const plan = {
    ...({ kind: 'canary', version: 1, steps: [1, 100], coverage: 'required' } as const),
    analysis: {
      ...{ automatic: false, dryRun: true, intervalMs: 60_000, minStepMs: 60_000, minUsers: 100, alpha: 0.05 },
      guardrails: { errorRate: null, slowShare: null, slowMs: 100, liveShare: null, psi: null },
      outcomes: [],
    },
  };
  const { id } = await rollouts.create({ predictor: 'bench', plan, actor: 'law' });
  await rollouts.begin(id, change);
  await rollouts.promote(id, 'candidate', change);
}

/**
 * Drops generations while a scan locks all partitions of tandem.predictions, as the scan of a plan does until its end.
 */
async function dropDuringScan({ pool }: BenchServers): Promise<void> {
  for (let i = 0; i < 3; i++) {
    await storeGeneration(pool, { predictor: 'bench', rows: 1, state: 'failed', endedAgo: '2 days' });
  }
  const scan = await pool.connect();
  await scan.query('begin');
  await scan.query('select from tandem.predictions limit 1');
  await createGenerationStore(pool).dropRetired();
  await scan.query('rollback');
  scan.release();
  const dropped = await createGenerationStore(pool).dropRetired();
  if (dropped.length !== 3) throw new Error(`${dropped.length} of 3 generations were removed after the scan`);
}

async function adoptLarge(servers: BenchServers): Promise<void> {
  const artifact = randomBytes(MODEL_BYTES);
  await adoptPredictor(servers, { name: 'large', artifact, users: 10 });
}

/** Inserts more ended rollouts than the 200 that retention keeps for a predictor. */
async function storeEndedRollouts(pool: Pool): Promise<void> {
  await pool.query(
    `with ended as (
        insert into tandem.rollouts (predictor, number, kind, state, plan, salt, overlay_floor, created_by, ended_at)
        select 'bench', 100 + n, 'canary', 'aborted', plan, salt, 0, 'law', clock_timestamp()
        from tandem.rollouts, generate_series(1, 199 + ${ENDED}) n where number = 1 returning id, number
      )
      insert into tandem.rollout_checks (rollout_id, step, verdict, applied, figures)
      select id, 0, 'hold', false, jsonb_build_object('reason', repeat('x', 200))
      from ended, generate_series(1, ${CHECKS}) where number <= 100 + ${ENDED}`,
  );
}
