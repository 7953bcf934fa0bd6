import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRedis } from '@tandem/local-servers/redis';
import type { LocalServer } from '@tandem/local-servers/server-process';
import { createRunStore } from '@tandem/offline-store/runs/run-store';
import { createPool } from '@tandem/offline-store/sql/database';
import { createQueue } from '@tandem/queue/enqueue';
import { silentLog } from '@tandem/telemetry/log';
import { cloneDatabase, type TestDatabase } from '@tandem/testing/databases';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { adoptCustomers, CUSTOMERS, startWorkerProcess, type WorkerProcess } from './worker.fixture.ts';

const CHUNKS = 30;
const CHUNK_SIZE = 40;
const USERS = CHUNKS * CHUNK_SIZE;

// A separate Redis, because these tests flush it.
let folder: string;
let redis: LocalServer;
let database: TestDatabase;
let pool: ReturnType<typeof createPool>;
const workers: WorkerProcess[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-worker-'));
  redis = await startRedis({ dataDir: folder, log: () => undefined });
});

afterAll(async () => {
  await redis.stop();
  await rm(folder, { recursive: true, force: true });
});

beforeEach(async () => {
  database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  pool = createPool({ url: database.url, applicationName: 'worker-test' });
  await adoptCustomers(pool, { users: USERS, chunkSize: CHUNK_SIZE });
});

afterEach(async () => {
  for (const worker of workers) worker.kill('SIGKILL');
  await Promise.all(workers.splice(0).map((worker) => worker.ended));
  await pool.end();
  await database.drop();
});

function start(): WorkerProcess {
  const worker = startWorkerProcess({ DATABASE_URL: database.url, REDIS_URL: redis.url, CHUNK_LEASE_MS: '1000' });
  workers.push(worker);
  return worker;
}

async function ask(): Promise<string> {
  const runs = createRunStore(pool);
  const { run } = await runs.create({
    predictor: CUSTOMERS,
    scope: { kind: 'all' },
    reason: 'test',
    scheduleSlot: null,
  });
  return run.id;
}

async function find(runId: string) {
  const run = await createRunStore(pool).find(runId);
  if (!run) throw new Error(`no run ${runId}`);
  return run;
}

const committed = (at: number) => async (runId: string) => (await find(runId)).chunksCommitted >= at;
const until = (condition: () => unknown, timeout = 120_000) => vi.waitUntil(condition, { timeout, interval: 50 });

/** Checks that each customer is scored once, except the customer whose feature is not a number. */
async function expectEveryoneOnce(runId: string): Promise<void> {
  const run = await find(runId);
  const { rows } = await pool.query<{ rows: number; users: number }>({
    text: 'select count(*)::int as rows, count(distinct user_id)::int as users from tandem.predictions where generation_id = $1',
    values: [run.generationId],
  });
  expect(rows[0]).toEqual({ rows: USERS - 1, users: USERS - 1 });
  expect(run).toMatchObject({ state: 'done_with_errors', usersScored: USERS - 1, usersFailed: 1 });
  expect(await createRunStore(pool).failures(runId, 10)).toMatchObject([{ userId: '13' }]);
}

async function untilEnded(runId: string): Promise<void> {
  await until(async () => !['planned', 'running', 'publishing'].includes((await find(runId)).state), 240_000);
}

describe('workers', () => {
  it('score every user once, name the user that cannot be scored, and publish', async () => {
    const worker = start();
    const runId = await ask();
    await untilEnded(runId);
    await expectEveryoneOnce(runId);
    const ended = await worker.until('run.ended');
    expect(ended).toMatchObject({ runId, runState: 'done_with_errors', usersFailed: 1 });
    expect(worker.lines.filter((line) => line.event === 'chunk.not_loaded')).toEqual([]);
  });

  it('finish the run of a killed worker: no user is missing or scored twice', async () => {
    const doomed = start();
    const runId = await ask();
    await until(() => committed(10)(runId));
    start();
    doomed.kill('SIGKILL');
    expect(await doomed.ended).toBe('SIGKILL');
    await untilEnded(runId);
    await expectEveryoneOnce(runId);
  });

  it('finish a run whose workers are killed repeatedly, at any step', async () => {
    const runId = await ask();
    for (const at of [0, 3, CHUNKS - 1]) {
      const worker = start();
      await worker.until('worker.started');
      await until(async () => (await committed(at)(runId)) || (await find(runId)).state === 'done_with_errors');
      worker.kill('SIGKILL');
      await worker.ended;
    }
    start();
    await untilEnded(runId);
    await expectEveryoneOnce(runId);
  });

  it('finish a run during which Redis is flushed, and reload the lost predictions', async () => {
    const worker = start();
    const runId = await ask();
    await until(() => committed(10)(runId));
    const queue = await createQueue({ url: redis.url, log: silentLog });
    // Chunks are loaded in groups. Only predictions that Redis has already received can be lost.
    await until(() => holdsPartOfAGeneration(redis.url));
    await flush(redis.url);
    await untilEnded(runId);
    await expectEveryoneOnce(runId);
    await worker.until('job.ended', (line) => line.job === 'load-generation' && line.outcome === 'loaded');
    await expect.poll(async () => (await queue.counts()).scoring).toMatchObject({ waiting: 0, active: 0 });
    await queue.close();
  });

  it('end in order on SIGTERM during a run', async () => {
    const worker = start();
    const runId = await ask();
    await until(() => committed(5)(runId));
    worker.kill('SIGTERM');
    expect(await worker.ended).toBe(0);
    expect(worker.lines.at(-1)).toMatchObject({ event: 'worker.stopped', drained: true });
    const { rows } = await pool.query({ text: "select from tandem.chunks where state = 'claimed'" });
    expect(rows).toEqual([]);
    start();
    await untilEnded(runId);
    await expectEveryoneOnce(runId);
  });

  it('refuse to start without a required server, and name it', async () => {
    const worker = startWorkerProcess({});
    expect(await worker.ended).toBe(1);
    expect(worker.lines.at(-1)?.problem).toMatch('DATABASE_URL');
  });
});

async function flush(url: string): Promise<void> {
  const connection = new Redis(url);
  await connection.flushall();
  connection.disconnect();
}

async function holdsPartOfAGeneration(url: string): Promise<boolean> {
  const connection = new Redis(url);
  const [, keys] = await connection.scan(0, 'MATCH', 'tandem:g:*', 'COUNT', 10_000);
  connection.disconnect();
  return keys.length > 0;
}
