/** Tests of users with too few rights on real servers. Each finding names the missing right and how to grant it. */
import { randomBytes } from 'node:crypto';
import { createPool } from '@tandem/offline-store/sql/database';
import { createServerConnection } from '@tandem/online-store/connection';
import { command } from '@tandem/online-store/pipelined-commands';
import { cloneDatabase, type TestDatabase } from '@tandem/testing/databases';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { examinePostgres, examineRedis } from './examine-stores.ts';

const name = `doctor_${randomBytes(4).toString('hex')}`;
let database: TestDatabase;

beforeAll(async () => {
  database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
afterAll(async () => {
  await runSql(database.url, `drop owned by ${name}`);
  await database.drop();
  await runSql(inject('databaseUrl'), `drop role if exists ${name}`);
});

async function runSql(url: string, text: string): Promise<void> {
  const pool = createPool({ url, max: 1, applicationName: name });
  await pool.query(text).finally(() => pool.end());
}

async function askAcl(url: string, ...args: string[]): Promise<unknown> {
  const connection = createServerConnection({ url, commandTimeoutMs: 5_000, log: () => {} });
  await connection.whenReady(5_000);
  const [reply] = await connection.send([command('acl', args)]);
  connection.close();
  if (reply instanceof Error) throw reply;
  return reply;
}

function asUser(url: string): string {
  const changed = new URL(url);
  changed.username = name;
  changed.password = 'secret';
  return changed.href;
}

const worth = (findings: Awaited<ReturnType<typeof examineRedis>>) => findings.filter(({ level }) => level !== 'ok');

/** On a busy machine the clocks may seem to differ, and other tests may use many connections. So callers poll. */
const worthOf = async (url: string) => worth(await examinePostgres(url, Date.now));

test('the database of the tests is in order, and a user without rights gets the missing ones', async () => {
  await expect.poll(() => worthOf(database.url)).toEqual([]);
  await runSql(database.url, `create role ${name} login password 'secret' in role pg_read_all_data`);
  await expect
    .poll(() => worthOf(asUser(database.url)))
    .toEqual([
      {
        subject: 'rights',
        level: 'error',
        text: expect.stringMatching(new RegExp(`^${name} may not read and write tandem\\.\\w+ and \\d+ other tables$`)),
        remedy: expect.stringContaining(
          `grant usage on schema tandem to ${name}; grant select, insert, update, delete`,
        ),
      },
    ]);
});

test('the remedy for missing table rights works and changes no role membership', async () => {
  const remedyOf = async () =>
    worth(await examinePostgres(asUser(database.url), Date.now)).find(({ subject }) => subject === 'rights');
  await runSql(database.url, (await remedyOf())?.remedy ?? '');
  expect(await remedyOf()).toMatchObject({ level: 'warning', text: expect.stringContaining('enough for the API') });
});

test('a user without any right in the schema gets findings on rights, schema, and all else', async () => {
  await runSql(database.url, `revoke pg_read_all_data from ${name}; revoke all on schema tandem from ${name}`);
  const found = async () => (await worthOf(asUser(database.url))).map(({ subject, level }) => `${level} ${subject}`);
  await expect.poll(found).toEqual(['error rights', 'error schema']);
  const findings = await examinePostgres(asUser(database.url), Date.now);
  expect(findings.map(({ subject }) => subject)).toContain('durability');
});

test('a user who may not execute the functions of the history gets the grants, which fix it', async () => {
  const functions = ['pg_control_system()', 'pg_current_wal_insert_lsn()', 'pg_walfile_name(pg_lsn)'];
  const remedyOf = async () => {
    const found = await examinePostgres(asUser(database.url), Date.now);
    return worth(found).find(({ subject }) => subject === 'rights')?.remedy;
  };
  await runSql(database.url, `grant create on database ${database.name} to ${name}; drop schema tandem cascade`);
  expect(await remedyOf()).toBeUndefined();
  for (const one of functions) await runSql(database.url, `revoke execute on function ${one} from public`);
  const remedy = functions.map((one) => `grant execute on function ${one} to ${name}`).join('; ');
  expect(await remedyOf()).toBe(remedy);
  await runSql(database.url, remedy);
  expect(await remedyOf()).toBeUndefined();
});

test('settings of the role are judged, and settings that Tandem overrides are in order', async () => {
  const settings = async () => {
    const findings = await examinePostgres(asUser(database.url), Date.now);
    return findings.find(({ subject }) => subject === 'settings');
  };
  const set = (text: string) => runSql(database.url, `alter role ${name} ${text}`);
  await set(`set datestyle = 'German'`);
  expect(await settings()).toMatchObject({ level: 'ok', text: expect.stringContaining('DateStyle German, DMY') });
  await set('set default_transaction_read_only = on');
  expect(await settings()).toMatchObject({ level: 'warning', text: expect.stringContaining('read_only is on') });
  await set('set session_replication_role = replica');
  const found = await settings();
  expect(found).toMatchObject({ level: 'error', text: expect.stringContaining('triggers do not fire') });
  await runSql(database.url, found?.remedy?.replace('as a superuser: ', '') ?? '');
  expect(await settings()).toMatchObject({ level: 'warning' });
});

test('a Redis user without rights gets the missing ones, and its keys are not changed', async () => {
  const url = inject('redisUrl');
  expect(worth(await examineRedis(url, url))).toEqual([]);
  await askAcl(url, 'setuser', name, 'on', '>secret', '~*', '+@all', '-eval', '-hset');
  try {
    expect(worth(await examineRedis(asUser(url), asUser(url)))).toEqual([
      {
        subject: 'rights',
        level: 'error',
        text: 'this user may not execute HSET, EVAL',
        remedy: 'acl setuser <user> +hset +eval (and ~* for its keys)',
      },
    ]);
  } finally {
    await askAcl(url, 'deluser', name);
  }
});

test('a login that Redis rejects is reported after one attempt', async () => {
  const url = inject('redisUrl');
  const user = `${name}_gone`;
  const refused = new URL(url);
  refused.username = user;
  refused.password = 'secret';
  expect(await examineRedis(refused.href, refused.href)).toMatchObject([
    { subject: 'redis', level: 'error', text: expect.stringContaining('rejects the user or the password (WRONGPASS)') },
  ]);
  const log = ((await askAcl(url, 'log')) as unknown[][]).map((entry) => entry.map(String));
  const entries = log.filter((entry) => entry.includes(user));
  // Redis counts equal rejections in one entry.
  expect(entries.map((entry) => entry[entry.indexOf('count') + 1])).toEqual(['1']);
});
