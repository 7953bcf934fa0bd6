import { latestSlot } from '@tandem/config/predictor/schedule';
import { createPool } from '@tandem/offline-store/sql/database';
import { relayOutbox } from '@tandem/prediction/events/relay-outbox';
import { createReconcile } from '@tandem/prediction/runs/reconcile';
import { retain } from '@tandem/prediction/runs/retain';
import { createRunChunk } from '@tandem/prediction/runs/run-chunk';
import type { RunHints } from '@tandem/prediction/runs/run-store';
import { scheduleRuns } from '@tandem/prediction/runs/schedule-runs';
import { planNow, publishNow } from '@tandem/prediction/runs/steps.fixture';
import { createLog, silentLog } from '@tandem/telemetry/log';
import { cloneDatabase, type TestDatabase } from '@tandem/testing/databases';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { type BuiltDependencies, createDependencies } from './dependencies.ts';
import { type EndedRound, ROUNDS, startHousekeeping } from './housekeeping.ts';
import { adoptCustomers, CUSTOMERS, environmentOf, startWorkerRedis, type WorkerRedis } from './worker.fixture.ts';

/** Its slot is far from now: in the minute of a slot, a run of all users is also that of the changed users. */
const NIGHTLY = `0 ${(new Date().getUTCHours() + 12) % 24} * * *`;

let redis: WorkerRedis;
beforeAll(async () => {
  redis = await startWorkerRedis();
});
afterAll(() => redis?.close());

let database: TestDatabase;
let pool: ReturnType<typeof createPool>;
let worker: BuiltDependencies;
let hinted: string[];
/** Records all hints. */
const hints: RunHints = {
  plan: async (runId) => void hinted.push(`plan ${runId}`),
  chunks: async (refs) => void hinted.push(...refs.map(({ runId, no, fence }) => `chunk ${runId} ${no} ${fence}`)),
  publish: async (runId) => void hinted.push(`publish ${runId}`),
  load: async (generationId) => void hinted.push(`load ${generationId}`),
};

beforeEach(async () => {
  hinted = [];
  database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  pool = createPool({ url: database.url, applicationName: 'worker-test' });
  await adoptCustomers(pool, { users: 50, chunkSize: 25, schedule: NIGHTLY });
  worker = await createDependencies(environmentOf(database.url, redis.url), silentLog);
});

afterEach(async () => {
  await worker.close();
  await pool.end();
  await database.drop();
});

const schedule = async () => (await scheduleRuns({ ...worker.scheduling, hints })).made;
const round = () => createReconcile({ ...worker.reconciling, hints })();
const count = async () => (await worker.runs.list({ limit: 100 })).length;

async function adoptedDaysAgo(days: number): Promise<void> {
  await pool.query("update tandem.predictors set updated_at = clock_timestamp() - $1 * interval '1 day'", [days]);
}

async function runToTheEnd(runId: string) {
  await planNow(worker.runs, runId);
  for (const no of [0, 1]) await createRunChunk({ ...worker.chunks, hints })(runId, no);
  // Chunks are loaded after their jobs.
  await worker.chunks.loads?.settled();
  return publishNow(worker.runs, runId, worker.loader);
}

async function startAll(): Promise<string> {
  const scope = { kind: 'all' } as const;
  return (await worker.runs.create({ predictor: CUSTOMERS, scope, reason: 'test', scheduleSlot: null })).run.id;
}

describe('schedules', () => {
  it('have nothing due before their first slot', async () => {
    expect(await schedule()).toEqual([]);
    expect(await count()).toBe(0);
  });

  it('make one run for each slot, with any number of schedulers', async () => {
    await adoptedDaysAgo(2);
    const made = (await Promise.all([1, 2, 3, 4, 5].map(schedule))).flat();
    expect(made).toHaveLength(1);
    expect(await count()).toBe(1);
    expect(hinted).toEqual([`plan ${made[0]?.runId}`]);
    expect(await schedule()).toEqual([]);
    await worker.runs.cancel(made[0]?.runId ?? '');
    expect((await Promise.all([1, 2].map(schedule))).flat()).toEqual([]);
    expect(await count()).toBe(1);
  });

  it('run only the newest missed slot after a downtime', async () => {
    await adoptedDaysAgo(10);
    const [made] = await schedule();
    const { rows } = await pool.query<{ now: Date }>('select clock_timestamp() as now');
    expect(made?.slot).toEqual(latestSlot(NIGHTLY, rows[0]?.now ?? new Date(0)));
    expect(await count()).toBe(1);
  });

  it('wait for an unfinished run of the predictor, and run after it', async () => {
    const earlier = await startAll();
    await adoptedDaysAgo(2);
    expect(await schedule()).toEqual([]);
    await worker.runs.cancel(earlier);
    expect(await schedule()).toHaveLength(1);
  });

  it('for changed users wait for the full run and their own previous run, then score the changed users', async () => {
    await adoptedDaysAgo(2);
    await pool.query(
      `update tandem.predictors set policy = jsonb_set(policy, '{batch,changedSchedule}', '"* * * * *"')`,
    );
    const [everyone] = await schedule();
    expect(await worker.runs.find(everyone?.runId ?? '')).toMatchObject({ scope: 'all', budget: null });
    expect(await count()).toBe(1);
    await planNow(worker.runs, everyone?.runId ?? '');
    await runToTheEnd(everyone?.runId ?? '');
    const [changed] = (await Promise.all([1, 2, 3].map(schedule))).flat();
    expect(await worker.runs.find(changed?.runId ?? '')).toMatchObject({ scope: 'stale', budget: null });
    expect(await schedule()).toEqual([]);
    expect(await count()).toBe(2);
  });

  it('limit runs of changed users by the budget, or runs of all users if there are no others', async () => {
    await adoptedDaysAgo(2);
    await pool.query(`update tandem.predictors set policy = jsonb_set(policy, '{batch,budget}', '{"share": 0.5}')`);
    const budgets = async () =>
      (await worker.scheduling.schedules.schedules()).schedules.map(({ isOfChanged, budget }) => [isOfChanged, budget]);
    expect(await budgets()).toEqual([[false, { share: 0.5 }]]);
    const [limited] = await schedule();
    expect(await worker.runs.find(limited?.runId ?? '')).toMatchObject({ scope: 'all', budget: { share: 0.5 } });
    await pool.query(
      `update tandem.predictors set policy = jsonb_set(policy, '{batch,changedSchedule}', '"0 * * * *"')`,
    );
    expect(await budgets()).toEqual([
      [false, null],
      [true, { share: 0.5 }],
    ]);
  });

  it('make no runs for a deactivated predictor', async () => {
    await adoptedDaysAgo(2);
    await pool.query('update tandem.predictors set active = false');
    expect(await schedule()).toEqual([]);
  });
});

describe('the relay of events', () => {
  it('re-scores users after events: the new answer is stored before any read', async () => {
    await runToTheEnd(await startAll());
    await pool.query(`insert into tandem.events (user_id) values ('7'), ('9')`);
    const { outbox, userHints, onRelayed } = worker.relaying;
    expect(await relayOutbox(outbox, userHints, { onRelayed })).toBe(2);
    const stored = 'select user_id, context_version::int as version, source, refreshed from tandem.overlay order by 1';
    const rows = async () => (await pool.query(stored)).rows;
    await expect.poll(rows, { timeout: 60_000 }).toEqual([
      { user_id: '7', version: 1, source: 'live', refreshed: true },
      { user_id: '9', version: 1, source: 'live', refreshed: true },
    ]);
    // Users are counted after their pass, which may be after the answers are stored.
    const inferred = /tandem_refresh_users_total\{predictor="customers",outcome="inferred",app="worker"\} 2/;
    await expect.poll(() => worker.metrics.exposition()).toMatch(inferred);
    const metrics = await worker.metrics.exposition();
    expect(metrics).toMatch(/tandem_refresh_lag_seconds_count\{.*predictor="customers".*\} 2/);
    expect(metrics).toMatch(/tandem_refresh_waiting\{app="worker"\} 0/);
  });
});

describe('reconciliation', () => {
  it('finds the next step of each run after all of its hints were lost', async () => {
    const runId = await startAll();
    await round();
    expect(hinted.splice(0)).toEqual([`plan ${runId}`]);
    await planNow(worker.runs, runId);
    await round();
    expect(hinted.splice(0)).toEqual([`chunk ${runId} 0 0`, `chunk ${runId} 1 0`]);
    await createRunChunk({ ...worker.chunks, hints: silent })(runId, 0);
    await worker.runs.claim(runId, 1, 30_000);
    await round();
    expect(hinted.splice(0)).toEqual([]);
    await pool.query("update tandem.chunks set lease_until = clock_timestamp() - interval '1 s' where no = 1");
    await round();
    expect(hinted.splice(0)).toEqual([`chunk ${runId} 1 1`]);
    await createRunChunk({ ...worker.chunks, hints: silent })(runId, 1);
    await round();
    expect(hinted.splice(0)).toEqual([`publish ${runId}`]);
    await publishNow(worker.runs, runId, worker.loader);
    expect(await round()).toMatchObject({ unfinishedRuns: 0, errors: [] });
    expect(hinted).toEqual([]);
  });

  it('reloads a generation if Redis lost it, and not otherwise', async () => {
    const published = await runToTheEnd(await startAll());
    expect(published).toMatchObject({ state: 'done_with_errors', loaded: true });
    hinted = [];
    expect(await round()).toMatchObject({ generationsToLoad: 0, errors: [] });
    const { generation } = published ?? {};
    if (!generation) throw new Error('nothing was published');
    await worker.retaining.sweeper.forget(generation);
    expect(await round()).toMatchObject({ generationsToLoad: 1, errors: [] });
    expect(hinted).toEqual([`load ${generation.id}`]);
  });

  it('sends events written in SQL to Redis', async () => {
    await pool.query("insert into tandem.events (user_id) values ('1'), ('1'), ('2')");
    const { outbox, userHints } = worker.relaying;
    expect([await relayOutbox(outbox, userHints), await relayOutbox(outbox, userHints)]).toEqual([2, 0]);
  });

  it('deletes rows and keys beyond their retention from Postgres and Redis', async () => {
    const generations = [];
    for (let i = 0; i < 4; i++) generations.push((await runToTheEnd(await startAll()))?.generation);
    expect(await retain(worker.retaining)).toMatchObject({ generationsDropped: 1, errors: [] });
    const [oldest, next] = generations;
    if (!oldest || !next) throw new Error('nothing was published');
    expect(await worker.loader.isLoaded(oldest)).toBe(false);
    expect(await worker.loader.isLoaded(next)).toBe(true);
  });

  it('sends hints for runs and relays events while retention hangs', async () => {
    const runId = await startAll();
    const hangs = () => new Promise<never>(() => {});
    const sweeper = { forget: hangs, sweep: hangs, sweepLost: hangs };
    const housekeeping = startHousekeeping({
      ...worker,
      reconciling: { ...worker.reconciling, hints },
      retaining: { ...worker.retaining, sweeper },
      expiring: [{ name: 'events', expireSome: hangs }],
      scheduling: { ...worker.scheduling, hints },
      log: silentLog,
      everyMs: { reconcile: 10 },
    });
    await expect.poll(() => hinted.filter((hint) => hint === `plan ${runId}`).length).toBeGreaterThan(2);
    await pool.query("insert into tandem.events (user_id) values ('1')");
    await expect.poll(async () => (await pool.query('select from tandem.outbox')).rowCount).toBe(0);
    void housekeeping.stop();
  });

  it('logs one event for each round, with its work and its failures', async () => {
    const runId = await startAll();
    const lines: Record<string, unknown>[] = [];
    const destination = { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) };
    const told: EndedRound[] = [];
    const housekeeping = startHousekeeping({
      ...worker,
      reconciling: { ...worker.reconciling, hints },
      expiring: [{ name: 'outcomes', expireSome: () => Promise.reject(new Error('no room')) }, ...worker.expiring],
      scheduling: { ...worker.scheduling, schedules: { schedules: () => Promise.reject(new Error('away')) }, hints },
      log: createLog({ level: 'debug', name: 'worker', destination }),
      onRound: (round) => void told.push(round),
    });
    await expect.poll(() => new Set(told.map(({ round }) => round)).size).toBe(ROUNDS.length + worker.more.length);
    await housekeeping.stop();
    const lineOf = (round: string) => lines.find((line) => line.event === 'round.ended' && line.round === round);
    expect(hinted).toContain(`plan ${runId}`);
    expect(lineOf('reconcile')).toMatchObject({
      level: 'debug',
      outcome: 'nothing_to_do',
      durationMs: expect.any(Number),
    });
    expect(lineOf('retention')).toMatchObject({ level: 'debug', outcome: 'nothing_to_do' });
    expect(lineOf('expiry')).toMatchObject({ level: 'warn', outcome: 'failed', errors: ['outcomes: no room'] });
    expect(lineOf('schedule')).toMatchObject({ level: 'warn', outcome: 'failed', errors: ['away'] });
    expect(lineOf('backlog')).toMatchObject({ level: 'debug', outcome: 'nothing_to_do' });
    expect(await worker.metrics.exposition()).toContain(
      `tandem_runs_unfinished{predictor="${CUSTOMERS}",state="planned",app="worker"} 1`,
    );
  });

  it('continues with the other steps if one fails, and names the failed step', async () => {
    const runId = await startAll();
    const losses = { round: () => Promise.reject(new Error('Redis is away')) };
    const report = await createReconcile({ ...worker.reconciling, hints, losses })();
    expect(report.errors).toEqual(['history: Redis is away']);
    expect(hinted).toEqual([`plan ${runId}`]);
  });
});

const silent: RunHints = {
  plan: async () => undefined,
  chunks: async () => undefined,
  publish: async () => undefined,
  load: async () => undefined,
};
