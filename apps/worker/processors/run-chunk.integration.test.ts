import { TandemError } from '@tandem/freshness/errors';
import { createRunStore } from '@tandem/offline-store/runs/run-store';
import { createPool } from '@tandem/offline-store/sql/database';
import { createRunChunk } from '@tandem/prediction/runs/run-chunk';
import type { RunScope } from '@tandem/prediction/runs/runs';
import { planNow } from '@tandem/prediction/runs/steps.fixture';
import { silentLog } from '@tandem/telemetry/log';
import { cloneDatabase, type TestDatabase } from '@tandem/testing/databases';
import { tableModel } from '@tandem/testing/onnx-models';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { type BuiltDependencies, createDependencies } from '../dependencies.ts';
import { adoptCustomers, CUSTOMERS, environmentOf } from '../worker.fixture.ts';
import { createRunChunkProcessor } from './run-chunk.ts';

let database: TestDatabase;
let pool: ReturnType<typeof createPool>;
let worker: BuiltDependencies;

beforeAll(async () => {
  database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  pool = createPool({ url: database.url, applicationName: 'worker-test' });
  await adoptCustomers(pool, { users: 300, chunkSize: 100 });
  worker = await createDependencies(environmentOf(database.url, inject('redisUrl')), silentLog);
});

beforeEach(async () => {
  await pool.query("update tandem.runs set state = 'cancelled' where state in ('planned', 'running', 'publishing')");
});

afterAll(async () => {
  await worker.close();
  await pool.end();
  await database.drop();
});

/** Creates a planned run without hints, so that no worker starts on it. Returns its id. */
async function plan(scope: RunScope = { kind: 'all' }): Promise<string> {
  const { run } = await worker.runs.create({ predictor: CUSTOMERS, scope, reason: 'test', scheduleSlot: null });
  await planNow(worker.runs, run.id);
  return run.id;
}

async function chunkOf(runId: string, no: number) {
  const { rows } = await pool.query('select state, fence, error from tandem.chunks where run_id = $1 and no = $2', [
    runId,
    no,
  ]);
  return rows[0];
}

/** Returns the counts of chunks that another worker took over, and of abandoned chunks. */
async function counted(): Promise<{ takenOver: number; abandoned: number }> {
  const text = await worker.metrics.exposition();
  const value = (series: string) =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(series))
        ?.split(' ')
        .at(-1) ?? 0,
    );
  return {
    takenOver: value('tandem_chunk_takeovers_total{'),
    abandoned: value(`tandem_chunks_abandoned_total{predictor="${CUSTOMERS}",why="fence_lost"`),
  };
}

describe('a chunk', () => {
  it('records the CPU time of this process and of its inference', async () => {
    const runId = await plan();
    await createRunChunk(worker.chunks)(runId, 0);
    const { rows } = await pool.query<{ cpu: number }>(
      'select cpu_ms as cpu from tandem.chunks where run_id = $1 and no = 0',
      [runId],
    );
    expect(rows[0]?.cpu).toBeGreaterThan(0);
    expect(rows[0]?.cpu).toBeLessThan(60_000);
  });

  it('is scored, committed and loaded, and names the user that cannot be scored', async () => {
    const runId = await plan();
    const report = await createRunChunk(worker.chunks)(runId, 0);
    expect(report).toMatchObject({
      outcome: 'committed',
      usersScored: 99,
      usersFailed: 1,
      chunksOpen: 2,
      loadError: null,
    });
    const failures = await worker.runs.failures(runId, 10);
    expect(failures).toMatchObject([{ userId: '13', reason: expect.stringContaining('recency') }]);
  });

  it('is scored once: later jobs find nothing to do', async () => {
    const runId = await plan();
    const runChunk = createRunChunk(worker.chunks);
    const reports = await Promise.all([runChunk(runId, 1), runChunk(runId, 1), runChunk(runId, 1)]);
    expect(reports.map(({ outcome }) => outcome).sort()).toEqual(['committed', 'nothing_to_do', 'nothing_to_do']);
    expect(await runChunk(runId, 1)).toEqual({ outcome: 'nothing_to_do' });
  });

  it('is taken over after its lease has expired; metrics and log show it', async () => {
    const runId = await plan();
    await worker.runs.claim(runId, 2, 1);
    const before = await counted();
    const process = createRunChunkProcessor({ ...worker, runChunk: createRunChunk(worker.chunks) });
    const once = () => process({ runId, no: 2, fence: 1 }, { progress() {} });
    // The lease ends by the clock of Postgres.
    await expect.poll(once).toMatchObject({ outcome: 'committed', fence: 2, takenOver: true });
    expect(await counted()).toEqual({ ...before, takenOver: before.takenOver + 1 });
  });

  it('that killed its workers fails its run, in the log and the metrics', async () => {
    const runId = await plan({ kind: 'users', userIds: ['1'] });
    const runs = createRunStore(pool, { maxClaims: 1 });
    const told: unknown[] = [];
    const log = { ...silentLog, error: (event: string, fields?: object) => void told.push([event, fields]) };
    const process = createRunChunkProcessor({ ...worker, log, runChunk: createRunChunk({ ...worker.chunks, runs }) });
    await runs.claim(runId, 0, 60_000);
    await pool.query('update tandem.chunks set lease_until = clock_timestamp() where run_id = $1', [runId]);
    const error = 'its worker died 1 times in a row';
    expect(await process({ runId, no: 0, fence: 1 }, { progress() {} })).toMatchObject({ outcome: 'failed', error });
    expect(told).toMatchObject([
      ['chunk.failed', { runId, no: 0, error }],
      ['run.ended', { runId, runState: 'failed', note: `chunk 0 failed: ${error}` }],
    ]);
    expect(await worker.metrics.exposition()).toContain(
      `tandem_runs_total{predictor="${CUSTOMERS}",scope="users",state="failed",app="worker"} 1`,
    );
  });

  it('writes nothing once another worker holds it', async () => {
    const runId = await plan();
    const { scorer, runs } = worker.chunks;
    let claimed: Promise<void> | undefined;
    const slow = createRunChunk({
      ...worker.chunks,
      lease: { leaseMs: 1, renewMs: 60_000 },
      // No renewal detects the loss, so only the commit can.
      runs: { ...runs, renew: async () => true },
      scorer: {
        async score(request) {
          // The chunk is scored in several parts.
          claimed ??= expect.poll(() => worker.runs.claim(runId, 0, 30_000)).not.toBeNull();
          await claimed;
          return scorer.score(request);
        },
      },
    });
    const process = createRunChunkProcessor({ ...worker, runChunk: slow });
    const before = await counted();
    expect(await process({ runId, no: 0, fence: 0 }, { progress() {} })).toMatchObject({
      outcome: 'abandoned',
      why: 'fence_lost',
      fence: 1,
      takenOver: false,
    });
    expect(await chunkOf(runId, 0)).toMatchObject({ state: 'claimed', fence: 2 });
    expect(await counted()).toEqual({ ...before, abandoned: before.abandoned + 1 });
    const { rows } = await pool.query(
      'select from tandem.predictions p join tandem.generations g on g.id = p.generation_id where g.run_id = $1',
      [runId],
    );
    expect(rows).toEqual([]);
  });

  it('stops early if a renewal finds that the lease is lost', async () => {
    const runId = await plan();
    const { scorer, runs } = worker.chunks;
    let commits = 0;
    const asked = Promise.withResolvers<void>();
    const slow = createRunChunk({
      ...worker.chunks,
      lease: { leaseMs: 1, renewMs: 10 },
      runs: {
        ...runs,
        async renew() {
          asked.resolve();
          return false;
        },
        commit(...args) {
          commits++;
          return runs.commit(...args);
        },
      },
      scorer: {
        async score(request) {
          await asked.promise;
          return scorer.score(request);
        },
      },
    });
    expect(await slow(runId, 0)).toMatchObject({ outcome: 'abandoned', why: 'fence_lost' });
    expect(commits).toBe(0);
  });

  it('is retried after an error; after too many errors it fails its run and gives the reason', async () => {
    const runId = await plan();
    await pool.query('alter table customers rename column orders to purchases');
    try {
      const runChunk = createRunChunk({ ...worker.chunks, maxAttempts: 2 });
      const first = await runChunk(runId, 0);
      expect(first).toMatchObject({ outcome: 'given_back', fence: 1, error: expect.stringContaining('orders') });
      expect(await chunkOf(runId, 0)).toMatchObject({ state: 'waiting', error: expect.stringContaining('orders') });
      for (const no of [0, 1, 1, 2, 2]) await runChunk(runId, no);
    } finally {
      await pool.query('alter table customers rename column purchases to orders');
    }
    expect(await worker.runs.find(runId)).toMatchObject({ state: 'failed', error: expect.stringContaining('orders') });
  });

  it('does not fail in an outage: temporary errors get many more attempts', async () => {
    const runId = await plan();
    const away = { score: () => Promise.reject(outage()) };
    const runChunk = createRunChunk({ ...worker.chunks, scorer: away, maxAttempts: 1 });
    for (let attempt = 1; attempt <= 6; attempt++)
      expect(await runChunk(runId, 0)).toMatchObject({ outcome: 'given_back' });
    expect(await createRunChunk(worker.chunks)(runId, 0)).toMatchObject({ outcome: 'committed' });
  });

  it('of named users scores users who have a row, and names the others', async () => {
    const runId = await plan({ kind: 'users', userIds: ['1', '2', '999999'] });
    const report = await createRunChunk(worker.chunks)(runId, 0);
    expect(report).toMatchObject({
      outcome: 'committed',
      usersScored: 2,
      usersFailed: 1,
      chunksOpen: 0,
      loadError: null,
    });
    expect(await worker.runs.failures(runId, 10)).toMatchObject([{ userId: '999999' }]);
    const { rows } = await pool.query('select user_id, source from tandem.overlay order by user_id');
    expect(rows).toEqual([
      { user_id: '1', source: 'batch' },
      { user_id: '2', source: 'batch' },
    ]);
  });

  it('names each user that crashes the model, and scores the others', async () => {
    await adoptCustomers(pool, { users: 300, chunkSize: 100, model: tableModel(), columns: ['recency'] });
    await pool.query('update customers set recency = 77 where id in (150, 177)');
    const runId = await plan();
    const { log, metrics, runs } = worker;
    let progress = 0;
    const runChunk = createRunChunk(worker.chunks);
    const processor = createRunChunkProcessor({ runChunk, runs, log, metrics });
    const report = await processor({ runId, no: 1, fence: 0 }, { progress: () => void progress++ });
    expect(report).toMatchObject({ outcome: 'committed', usersFailed: 2, usersScored: 98 });
    // Seven halvings make about 25 parts; each part, and each step before and after, reports progress.
    expect(progress).toBeGreaterThan(15);
    const failed = (await worker.runs.failures(runId, 10)).map(({ userId }) => userId);
    expect(failed.sort()).toEqual(['150', '177']);
  });
});

function outage(): Error {
  return new TandemError('unavailable', 'No inference process is available.');
}
