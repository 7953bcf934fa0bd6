/**
 * Postgres returns from a backup, beside a Redis and processes that remember the lost past. The same versions are
 * assigned again, to other changes. A process that believed the old ones would be wrong about exactly those users.
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
/** Changed before the backup; after it, with a live answer in the overlay; after it, in the midst of a run. */
const [KEPT, LOST, SCORED] = ['7', '11', '1990'];

let deployment: Deployment;
let postgres: OwnPostgres;
let api: Api;
let worker: Program;

beforeAll(async () => {
  deployment = await createDeployment({ ownPostgres: true });
  if (!deployment.postgres) throw new Error('the test has no Postgres of its own');
  postgres = deployment.postgres;
  const { pool, folder } = deployment;
  await adoptCounts(pool, { users: USERS, batch: { chunkSize: 100 } });
  // The account that Postgres runs under writes there; %p and %f are its own.
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
  /** Of before the backup, and of after it. */
  readonly tokens: readonly string[];
  /** It was under way in the backup. */
  readonly runId: string;
}

/** A backup in the midst of a run; then two users change twice, told by one event each, and the run ends. */
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
  // Kept in the overlay, and in the API's memory as it is in the new generation.
  for (const userId of [LOST, SCORED]) expect(await read(userId)).toBeGreaterThanOrEqual(2);
  await expectAllTrue(pool, [api]);
  return { backup, tokens, runId: id };
}

const LOCK = 4711;

/** No worker claims the second half of a run's chunks until the work is done. */
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
    // With its end the lock is free.
    session.release(true);
  }
}

/** Nothing of what was lost is believed, now and when its versions are given away again. */
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
 * The earlier run begins again and is published once more. No read is answered from its publication in the lost past.
 */
async function expectRunAnew({ runId }: LostPast): Promise<void> {
  await until('the run of before has ended', async () => (await api.client.runs.show(runId)).finishedAt !== null);
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

it('a restore to a point in time is another history by itself, while API and worker continue', async () => {
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

it('a copy of the files is another history once it was rotated, beside a Redis that still holds all', async () => {
  const past = await liveOn('copy');
  // They continue with all that they remember, as soon as the history is another one.
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

it('an unannounced copy is noticed by running processes before it certifies a read', async () => {
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

/** Marks are left every 5 s, and looked at every 2 s: with the second mark from now on, the first is known. */
async function untilMarksAreKnown(pool: Pool): Promise<void> {
  const last = async () =>
    (await pool.query<{ seq: number }>('select max(seq) as seq from tandem.history_marks')).rows[0]?.seq ?? 0;
  const before = await last();
  await until('two more marks are left', async () => (await last()) >= before + 2);
}

it('with an empty Redis reads are answered from the rows, and Redis fills by itself', async () => {
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
  // Users that changed since the generation was scored have no entry of this history.
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
