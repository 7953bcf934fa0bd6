/**
 * Two workers and five predictors. Four predictors have slow plans, chunks or comparisons; the fifth is quick. The
 * feature queries call a function that sleeps once in each statement of the slow kind.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { PUBLISH_DEFAULTS } from '@tandem/freshness/predictor';
import { startRedis } from '@tandem/local-servers/redis';
import { adopt } from '@tandem/offline-store/adopt';
import { createRunStore } from '@tandem/offline-store/runs/run-store';
import { createPool } from '@tandem/offline-store/sql/database';
import type { Run } from '@tandem/prediction/runs/runs';
import { createQueue } from '@tandem/queue/enqueue';
import { silentLog } from '@tandem/telemetry/log';
import { cloneDatabase } from '@tandem/testing/databases';
import { inject, vi } from 'vitest';
import { adoptCustomers, predictorOf, startWorkerProcess, type WorkerProcess } from './worker.fixture.ts';

/** Names of the predictors, each with 200 users. `quick` must not wait for the others. */
export const SLOW_PLAN = 'slow_plan';
export const SLOW_COMPARISON = 'slow_comparison';
export const ENDLESS = 'endless';
/** The predictor whose first chunk has a query that never ends; its plan and other chunks are quick. */
export const ENDLESS_CHUNK = 'endless_chunk';
export const QUICK = 'quick';

export interface SlowSteps {
  /** Seconds of the plan of `slow_plan` and of the comparison of `slow_comparison`. */
  readonly seconds: number;
  /** Seconds after which the plan of `endless` times out. */
  readonly planTimeout: number;
}

export interface Asleep {
  readonly plans: number;
  readonly comparisons: number;
  readonly chunks: number;
}

const LOOK_MS = 20;

export type SlowWorld = Awaited<ReturnType<typeof createSlowWorld>>;

export async function createSlowWorld({ seconds, planTimeout }: SlowSteps) {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-steps-'));
  const redis = await startRedis({ dataDir: folder, log: () => undefined });
  const database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  const pool = createPool({ url: database.url, applicationName: 'steps-test' });
  const queue = await createQueue({ url: redis.url, log: silentLog });
  const store = createRunStore(pool);
  const workers: WorkerProcess[] = [];
  await pool.query(`
    create table paces (predictor text primary key, statements text not null, seconds float8 not null);
    insert into paces values ('${SLOW_PLAN}', 'user_keys', ${seconds}), ('${SLOW_COMPARISON}', 'full join', ${seconds}),
      ('${ENDLESS}', 'user_keys', 86400), ('${ENDLESS_CHUNK}', '^copy (?!.*>=)', 86400);
    create function paced(name text) returns boolean language plpgsql stable as $$
    begin
      perform pg_sleep(p.seconds) from paces p where p.predictor = name and current_query() ~ p.statements;
      return true;
    end $$`);
  const customers = { users: 200, chunkSize: 50 };
  await adoptCustomers(pool, customers);
  // Every feature is a number, so that no user fails.
  await pool.query(`update customers set recency = 1 where recency = 'NaN'`);
  const of = (name: string, policy: NonNullable<Parameters<typeof predictorOf>[0]['policy']> = {}) =>
    predictorOf({ ...customers, name, where: `paced('${name}')`, policy });
  // The comparison by segments uses all of its time, 60 % of this limit. Then it is made without segments.
  const publish = { ...PUBLISH_DEFAULTS, maxPsi: 0.5, reportTimeoutMs: Math.ceil((seconds * 1_000) / 0.6) };
  const predictors = [
    of(SLOW_PLAN),
    of(SLOW_COMPARISON, { publish, segments: ['orders'] }),
    of(ENDLESS, { planTimeoutMs: planTimeout * 1_000 }),
    of(ENDLESS_CHUNK),
    of(QUICK),
  ];
  await adopt(pool, { actor: 'test', predictors });

  async function ask(predictor: string): Promise<string> {
    const { run } = await store.create({ predictor, scope: { kind: 'all' }, reason: 'test', scheduleSlot: null });
    await queue.enqueue('plan-run', { runId: run.id });
    return run.id;
  }
  const until = (condition: () => unknown, timeout = 120_000) =>
    vi.waitUntil(condition, { timeout, interval: LOOK_MS });

  return {
    store,
    ask,
    startWorker(): WorkerProcess {
      const environment = { DATABASE_URL: database.url, REDIS_URL: redis.url, CHUNK_LEASE_MS: '1000' };
      const worker = startWorkerProcess(environment);
      workers.push(worker);
      return worker;
    },
    until,
    /** Returns the run after its end. */
    async ended(runId: string, timeout?: number): Promise<Run> {
      await until(async () => (await store.find(runId))?.finishedAt, timeout);
      return (await store.find(runId)) as Run;
    },
    /** Runs the quick predictor and returns the duration in ms. */
    async quick(): Promise<number> {
      const started = performance.now();
      const runId = await ask(QUICK);
      await until(async () => (await store.find(runId))?.state === 'done');
      return performance.now() - started;
    },
    /** Counts the statements of workers that sleep now. */
    async asleep(): Promise<Asleep> {
      const { rows } = await pool.query<Asleep>(
        `select count(*) filter (where query like '%user_keys%')::int as plans,
          count(*) filter (where query like '%full join%')::int as comparisons,
          count(*) filter (where query like 'copy %' and query not like '%full join%')::int as chunks
        from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`,
      );
      return rows[0] ?? { plans: 0, comparisons: 0, chunks: 0 };
    },
    async close() {
      for (const worker of workers) worker.kill('SIGKILL');
      await Promise.all(workers.map((worker) => worker.ended));
      await queue.close();
      await pool.end();
      await database.drop();
      await redis.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Observations during the slow steps. */
export interface Seen {
  readonly alone: number;
  readonly beside: readonly number[];
  readonly most: Asleep;
  readonly ended: readonly Pick<Run, 'state' | 'error'>[];
}

/**
 * Runs all slow predictors at once and then cancels the endless chunk. Measures runs of the quick predictor, alone and
 * during the slow runs, in ms.
 */
export async function runSideBySide({ ask, ended, quick, asleep, store }: SlowWorld): Promise<Seen> {
  await ended(await ask(SLOW_COMPARISON));
  const alone = Math.max(await quick(), await quick());
  const slow = await Promise.all([SLOW_PLAN, SLOW_COMPARISON, ENDLESS].map(ask));
  const all = Promise.all(slow.map((runId) => ended(runId, 240_000)));
  const endless = await ask(ENDLESS_CHUNK);
  const most = { plans: 0, comparisons: 0, chunks: 0 };
  const beside: number[] = [];
  let isOver = false;
  const looking = (async () => {
    while (!isOver) {
      const now = await asleep();
      most.plans = Math.max(most.plans, now.plans);
      most.comparisons = Math.max(most.comparisons, now.comparisons);
      most.chunks = Math.max(most.chunks, now.chunks);
      await pause(LOOK_MS);
    }
  })();
  const running = (async () => {
    while (!isOver) beside.push(await quick());
  })();
  const runs = await all;
  await store.cancel(endless);
  runs.push(await ended(endless));
  isOver = true;
  await Promise.all([looking, running]);
  return { alone, beside, most, ended: runs.map(({ state, error }) => ({ state, error })) };
}

const SLEEPING: Readonly<Record<string, keyof Asleep>> = {
  [SLOW_COMPARISON]: 'comparisons',
  [ENDLESS_CHUNK]: 'chunks',
};

/**
 * Cancels a run and returns, in ms, how long the call takes and how long until the worker's statement has ended in
 * Postgres.
 */
export async function cancelAsleep({ ask, store, asleep, until }: SlowWorld, predictor: string) {
  const kind = SLEEPING[predictor] ?? 'plans';
  const runId = await ask(predictor);
  await until(async () => (await asleep())[kind] === 1);
  const asked = performance.now();
  const { state } = await store.cancel(runId);
  const answered = performance.now() - asked;
  await until(async () => (await asleep())[kind] === 0);
  return { state, answered, stopped: performance.now() - asked };
}
