/**
 * Restores of Postgres without a rotation of the history, which the service must detect by itself. It stores a mark in
 * Redis every few seconds. Each fault waits until Redis has a mark from after the backup, because a smaller loss is not
 * detected (docs/backup.md).
 */
import { setTimeout as pause } from 'node:timers/promises';
import { createKeys } from '@tandem/online-store/keys';
import pg from 'pg';
import { until } from '../../../e2e/until.fixture.ts';
import { inDatabase } from '../rig/rig.ts';
import type { Stage } from '../rig/session.ts';
import type { NamedFault } from './fault.ts';
import { untilBack } from './lost-history.ts';

/** The time after the remembered mark whose events are lost too. Every running process has a round in this time. */
const LOST_MS = 4_000;
const REMEMBERED_WITHIN_MS = 30_000;
const NOTICED_WITHIN_MS = 30_000;
/** The time for which the cache cannot be reached after the service has restarted. */
const AWAY_MS = 3_000;

export const unannouncedRestores: readonly NamedFault[] = [
  {
    name: 'unannounced-restore',
    what: 'the files of Postgres are restored from a copy, without an announcement, while API and worker continue',
    expected: 'the service detects the missing mark before it certifies a read; another history begins',
    run: (stage) => restoreFiles(stage, async (restored) => restored()),
  },
  {
    name: 'unannounced-restore-restarted',
    what: 'the same while the service is down: all its processes start on the restored database',
    expected: 'processes recall the mark in Redis before they trust any data in Redis',
    run: (stage) => restoreFiles(stage, (restored) => whileDown(stage, restored)),
  },
  {
    name: 'unannounced-restore-cache-away',
    what: `the same, and the cache cannot be reached for ${AWAY_MS / 1_000} s after the start`,
    expected: 'no process overwrites a mark that it could not read; reads are answered from rows or live',
    run: (stage) =>
      restoreFiles(
        stage,
        (restored) => whileDown(stage, restored),
        (work) => withoutCache(stage, work),
      ),
  },
  {
    name: 'restored-under-another-name',
    what: 'the database is copied under another name in the same cluster, and the service is started on the copy',
    expected: 'another history begins, because the oid and name of the database are part of it',
    run: restoreUnderAnotherName,
  },
];

/** Prepares, calls `restored`, and cleans up. `restored` restores, and resolves when Postgres takes writes again. */
type Around = (restored: () => Promise<void>) => Promise<void>;

/** @param whole wraps the whole fault; `around` wraps only the restore */
async function restoreFiles(
  { rig, fault }: Stage,
  around: Around,
  whole: Around = (restored) => restored(),
): Promise<void> {
  await fault(
    { name: 'Postgres stopped for a backup' },
    { inject: () => rig.postgres.backUp(), lift: () => untilBack(rig) },
  );
  await untilRemembered(rig);
  await pause(LOST_MS);
  const before = await historyOf(rig);
  const restore = () =>
    around(async () => {
      await rig.postgres.restore();
      await untilBack(rig);
    });
  await whole(() =>
    fault(
      { name: 'Postgres restored without an announcement', losesHistory: true },
      { inject: restore, lift: () => untilBack(rig) },
    ),
  );
  await untilAnotherHistory(rig, before);
}

/** Kills every process, and starts it again when the work is done. */
async function whileDown({ rig }: Stage, work: () => Promise<void>): Promise<void> {
  for (const program of rig.programs) program.hold();
  for (const program of rig.programs) program.signal('SIGKILL');
  await Promise.all(rig.programs.map((program) => program.ended()));
  try {
    await work();
  } finally {
    for (const program of rig.programs) program.release();
  }
  await Promise.all(rig.programs.map((program) => program.ready()));
}

/** Makes the cache a black hole during the restore and for some time after it. */
async function withoutCache({ rig, fault }: Stage, work: () => Promise<void>): Promise<void> {
  const ways = rig.proxies('cache');
  await fault(
    { name: 'the cache cannot be reached' },
    {
      async inject() {
        for (const way of ways) way.add({ type: 'timeout', timeout: 0 });
      },
      async hold() {
        await work();
        await pause(AWAY_MS);
      },
      async lift() {
        for (const way of ways) await way.heal();
      },
    },
  );
}

async function restoreUnderAnotherName(stage: Stage): Promise<void> {
  const { rig, fault } = stage;
  const lost = await databaseOf(rig);
  const restored = `restored_${Date.now()}`;
  await fault(
    { name: 'a database copied' },
    { inject: () => copyDatabase(rig, lost, restored), lift: () => untilBack(rig) },
  );
  await untilRemembered(rig);
  await pause(LOST_MS);
  const before = await historyOf(rig);
  await fault(
    { name: 'the database restored under another name', losesHistory: true },
    {
      inject: () =>
        whileDown(stage, async () => {
          rig.useDatabase(restored);
          await onServer(rig, (client) => client.query({ text: TERMINATE, values: [lost] }));
          await until('the application has the restored database', async () => (await databaseOf(rig)) === restored);
        }),
      lift: () => untilBack(rig),
    },
  );
  await untilAnotherHistory(rig, before);
  // The rig itself needs the database with which the server was created.
  const isFirst = new URL(rig.postgres.url).pathname === `/${lost}`;
  if (!isFirst) await onServer(rig, (client) => client.query(`drop database ${lost} with (force)`));
}

const TERMINATE =
  'select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()';

/** Copies a database. This requires that the original has no sessions; the service reconnects afterwards. */
async function copyDatabase(rig: Stage['rig'], from: string, to: string): Promise<void> {
  await onServer(rig, async (client) => {
    await client.query(`alter database ${from} allow_connections false`);
    try {
      await until('the original database has no sessions', async () => {
        await client.query({ text: TERMINATE, values: [from] });
        return client.query(`create database ${to} template ${from}`).then(() => true);
      });
    } finally {
      await client.query(`alter database ${from} allow_connections true`);
    }
  });
}

async function onServer<T>({ postgres }: Stage['rig'], use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: inDatabase(postgres.url, 'template1') });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

async function databaseOf({ pool }: Stage['rig']): Promise<string> {
  const { rows } = await pool.query<{ name: string }>('select current_database() as name');
  return rows[0]?.name ?? '';
}

async function historyOf({ pool }: Stage['rig']): Promise<string> {
  const { rows } = await pool.query<{ history: string }>('select tandem.current_history() as history');
  return rows[0]?.history ?? '';
}

/** Waits until Redis has a mark that was written after the call. */
async function untilRemembered({ pool, cache }: Stage['rig']): Promise<void> {
  const { rows } = await pool.query<{ seq: number }>(
    'select coalesce(max(seq), 0)::float8 as seq from tandem.history_marks',
  );
  const isNewer = async () => {
    const text = await cache.with((redis) => redis.get(createKeys().historyMark()));
    return Number(text?.split(' ')[1] ?? 0) > (rows[0]?.seq ?? 0);
  };
  await until('Redis remembers a mark from after the backup', isNewer, REMEMBERED_WITHIN_MS);
}

async function untilAnotherHistory(rig: Stage['rig'], before: string): Promise<void> {
  await until('another history has begun', async () => (await historyOf(rig)) !== before, NOTICED_WITHIN_MS);
}
