/**
 * Postgres is restored from a backup, while Redis and the processes still have data of the lost history. The same
 * versions are assigned again to other changes. A process that trusts the old versions would be wrong about exactly
 * these users.
 */
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from '../../apps/cli/cli.fixture.ts';
import { change, expectAllTrue, expectTokenRefused, readFresh } from './believed.fixture.ts';
import { adoptCounts, COUNT, type Pool } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';
import { type PostgresBackup, takeBackup } from './postgres-backup.fixture.ts';
import type { Program } from './program.fixture.ts';
import type { OwnPostgres } from './servers.fixture.ts';
import { until } from './until.fixture.ts';

const USERS = 2_000;
/** A user changed before the backup, one after it with a live answer in the overlay, and one after it during a run. */
const [KEPT, LOST, SCORED] = ['7', '11', '1990'];

let deployment: Deployment;
let postgres: OwnPostgres;
let api: Api;
let worker: Program;

beforeAll(async () => {
  deployment = await createDeployment({ ownPostgres: true });
  if (!deployment.postgres) throw new Error('the test has no separate Postgres');
  postgres = deployment.postgres;
  const { pool, folder } = deployment;
  await adoptCounts(pool, { users: USERS, batch: { chunkSize: 100 } });
  // The account that runs Postgres writes to this folder. Postgres replaces %p and %f.
  const archive = join(folder, 'archive');
  await mkdir(archive);
  await chmod(archive, 0o777);
  await pool.query(`alter system set archive_mode = 'on'`);
  await pool.query(`alter system set archive_command = 'cp "%p" "${archive}/%f"'`);
  await restart();
  api = await deployment.startApi();
  worker = await deployment.startWorker({ CHUNK_CONCURRENCY: '1' });
  await deployment.runEveryone(api);
});
afterAll(() => deployment?.close());

async function restart(): Promise<void> {
  await postgres.end('SIGINT');
  await postgres.start();
}

const tell = (userId: string, times: number) => change(deployment.pool, api, userId, times);
const read = (userId: string) => readFresh(api, userId);

interface LostPast {
  readonly backup: PostgresBackup;
  /** Context tokens from before and after the backup. */
  readonly tokens: readonly string[];
  /** The run that was in progress at the backup. */
  readonly runId: string;
}

/** Makes a backup during a run. Then two users change twice, with one event each, and the run ends. */
async function liveOn(name: string, afterBackup = async () => {}): Promise<LostPast> {
  const { pool, folder } = deployment;
  const kept = await tell(KEPT, 1);
  const { backup, tokens, id } = await whileLastChunksWait(async () => {
    const { id } = await api.client.runs.start({ predictor: COUNT, scope: 'all' });
    await until('half of the run is committed', async () => (await api.client.runs.show(id)).chunksCommitted >= 10);
    const backup = await takeBackup(pool, postgres.cluster, join(folder, name));
    await afterBackup();
    return { id, backup, tokens: [kept, await tell(LOST, 2), await tell(SCORED, 2)] };
  });
  await until('the run is published', async () => (await api.client.runs.show(id)).finishedAt !== null);
  // One prediction is now in the overlay, the other in the API's prediction memory, from the new generation.
  for (const userId of [LOST, SCORED]) expect(await read(userId)).toBeGreaterThanOrEqual(2);
  await expectAllTrue(pool, [api]);
  return { backup, tokens, runId: id };
}

const LOCK = 4711;

/** Calls `work` while no worker can claim the second half of a run's chunks. */
async function whileLastChunksWait<T>(work: () => Promise<T>): Promise<T> {
  const session = await deployment.pool.connect();
  try {
    await session.query(`
      create or replace function wait_for_the_test() returns trigger language plpgsql as $$
      begin perform pg_advisory_xact_lock_shared(${LOCK}); return new; end $$;
      create or replace trigger held before update on tandem.chunks for each row
        when (new.state = 'claimed' and new.no >= 10) execute function wait_for_the_test();
      select pg_advisory_lock(${LOCK})`);
    return await work();
  } finally {
    // Ending the session releases the lock.
    session.release(true);
  }
}

/** Expects that no data of the lost history are trusted, also when their versions are assigned again. */
async function expectNothingLostBelieved({ tokens }: LostPast): Promise<void> {
  const { pool, wire } = deployment;
  const users = [KEPT, LOST, SCORED];
  await expectAllTrue(pool, [api]);
  for (const [i, token] of tokens.entries()) {
    await expectTokenRefused(api, users[i] ?? '', token);
  }
  for (const userId of [LOST, SCORED]) {
    const before = await read(userId);
    await tell(userId, 1);
    expect(await read(userId)).toBe(before + 1);
  }
  expect(wire.violations).toEqual([]);
}

/**
 * Expects that the earlier run begins again and is published again. No read is answered from its generation of the lost
 * history.
 */
async function expectRunAnew({ runId }: LostPast): Promise<void> {
  await until('the earlier run has ended', async () => (await api.client.runs.show(runId)).finishedAt !== null);
  expect(await api.client.runs.show(runId)).toMatchObject({ state: 'done', usersScored: USERS });
  await expectAllTrue(deployment.pool, [api]);
}

async function rotateHistory(): Promise<void> {
  const env = { DATABASE_URL: deployment.pool.options.connectionString };
  expect(await runCli(['history', 'rotate'], { cwd: deployment.folder, env })).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^the history is [0-9a-f]{16}; it was [0-9a-f]{16}\n/),
  });
}

it('a restore to a point in time begins another history, while API and worker continue', async () => {
  const { pool } = deployment;
  const archive = join(deployment.folder, 'archive');
  const past = await liveOn('base', async () => {
    const { rows } = await pool.query<{ file: string }>(
      `select pg_walfile_name(pg_create_restore_point('before the accident')) as file, pg_switch_wal()`,
    );
    await until('it is archived', async () => {
      const { rows: archived } = await pool.query('select from pg_stat_archiver where last_archived_wal >= $1', [
        rows[0]?.file,
      ]);
      return archived.length > 0;
    });
  });
  await postgres.end('SIGQUIT');
  await past.backup.restore(postgres.cluster, {
    signal: 'recovery.signal',
    settings: {
      restore_command: `cp "${archive}/%f" %p`,
      recovery_target_name: 'before the accident',
      recovery_target_action: 'promote',
    },
  });
  await postgres.start();
  await until('reads are certified again', () => read(KEPT).catch(() => null));
  await expectNothingLostBelieved(past);
  await expectRunAnew(past);
});

it('a copy of the files is another history after a rotation, although Redis still has all data', async () => {
  const past = await liveOn('copy');
  // The processes continue with their memory after the history has changed.
  for (const program of [api, worker]) program.kill('SIGSTOP');
  await postgres.end('SIGQUIT');
  await past.backup.restore(postgres.cluster);
  await postgres.start();
  await rotateHistory();
  for (const program of [api, worker]) program.kill('SIGCONT');
  await until('reads are certified again', () => read(KEPT).catch(() => null));
  await expectNothingLostBelieved(past);
  await api.client.runs.cancel(past.runId);
});

it('running processes detect an unannounced copy before it certifies a read', async () => {
  const { pool } = deployment;
  const past = await liveOn('untold');
  await untilMarksAreKnown(pool);
  await postgres.end('SIGQUIT');
  await past.backup.restore(postgres.cluster);
  await postgres.start();
  await until('reads are certified again', () => read(KEPT).catch(() => null));
  const { rows } = await pool.query(
    `select actor from tandem.audit where action = 'rotate_history' order by seq desc limit 1`,
  );
  expect(rows).toEqual([{ actor: 'noticed' }]);
  await expectNothingLostBelieved(past);
  await api.client.runs.cancel(past.runId);
});

/** Waits for two more marks. Marks are written every 5 s and read every 2 s, so the first of them is then known. */
async function untilMarksAreKnown(pool: Pool): Promise<void> {
  const last = async () =>
    (await pool.query<{ seq: number }>('select max(seq) as seq from tandem.history_marks')).rows[0]?.seq ?? 0;
  const before = await last();
  await until('two more marks are written', async () => (await last()) >= before + 2);
}

it('with an empty Redis, reads are answered from rows of Postgres, and Redis is filled automatically', async () => {
  const { pool, redis } = deployment;
  const past = await liveOn('last');
  for (const program of [api, worker]) program.kill('SIGKILL');
  await Promise.all([api.ended, worker.ended, postgres.end('SIGQUIT')]);
  await past.backup.restore(postgres.cluster);
  await postgres.start();
  await rotateHistory();
  await flush(redis.url);

  api = await deployment.startApi();
  const { batch = 0, live = 0 } = await expectAllTrue(pool, [api]);
  // Users who changed after the generation was scored have no entry of this history.
  expect(live).toBeLessThanOrEqual(3);
  expect(batch + live).toBe(USERS);
  worker = await deployment.startWorker();
  await expectNothingLostBelieved(past);
  await api.client.runs.cancel(past.runId);
  await until('the generation is in Redis', async () => {
    const { candidates } = await api.client.explanation(COUNT, '1000');
    return candidates.some((one) => one.store === 'redis' && one.layer === 'generation' && one.state === 'fresh');
  });
});

async function flush(url: string): Promise<void> {
  const connection = new Redis(url);
  await connection.flushall();
  connection.disconnect();
}
