import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isTandemError } from '@tandem/freshness/errors';
import type pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createEventStore } from '../events/events.ts';
import { HOSTILE_DEFAULTS, setDefaults, together } from '../hostile-defaults.fixture.ts';
import { createTestDatabase, type TestDatabase } from '../store.fixture.ts';
import { createErasureStore } from '../users/erasures.ts';
import { type Db, query, transaction } from './database.ts';
import { migrate, schemaState } from './migrate.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'));
});
afterAll(() => database.drop());

test('eight processes that start concurrently apply each migration once, and one of them reports it', async () => {
  expect((await schemaState(database.pool)).state).toBe('missing');
  const applied = (await Promise.all(Array.from({ length: 8 }, () => migrate(database.url)))).flat();
  const state = await schemaState(database.pool);
  expect(state.state).toBe('current');
  expect(applied.sort()).toEqual([...state.applied]);
  expect(await migrate(database.pool)).toEqual([]);
});

test('a migration that fails names its file and line, and earlier migrations stay applied', async () => {
  const folder = await folderOf({
    '0001_first.sql': 'create table one (x int);',
    '0002_broken.sql': 'create table two (x int);\n\nselect nothing from two;',
  });
  const other = await createTestDatabase(inject('databaseUrl'));
  try {
    const error = await migrate(other.url, () => {}, folder).catch((reason: unknown) => reason);
    expect(isTandemError(error, 'config_invalid') && error.message).toContain('migrations/0002_broken.sql:3');
    const state = await schemaState(other.pool, folder);
    expect(state).toMatchObject({ state: 'behind', applied: ['0001_first'], pending: ['0002_broken'] });
    const [tables] = await query<{ two: string | null }>(other.pool, { text: `select to_regclass('two') as two` });
    expect(tables?.two).toBeNull();
  } finally {
    await other.drop();
  }
});

test('a database that a newer release migrated is ahead, and migrating it is rejected', async () => {
  const folder = await folderOf({ '0001_history_and_registry.sql': 'select 1;' });
  expect((await schemaState(database.pool, folder)).state).toBe('ahead');
  await expect(migrate(database.pool, () => {}, folder)).rejects.toMatchObject({ code: 'config_invalid' });
});

test('during a migration an earlier release still accepts events and certifies reads', async () => {
  const other = await createTestDatabase(inject('databaseUrl'));
  const send = (db: Db) => query(db, { text: `insert into tandem.events (user_id, type) values ('1', 'x')` });
  const atOnce = (text: string) => query(other.pool, { text, withinMs: 20_000 });
  const pending = async () => (await schemaState(other.pool)).pending;
  try {
    await migrate(other.url, () => {}, await releasedBefore('0009'));
    await send(other.pool);
    let migrating: Promise<unknown> = Promise.resolve();
    await transaction(other.pool, async (adoption) => {
      await transaction(other.pool, async (application) => {
        await send(application);
        migrating = migrate(other.url);
        await expect.poll(pending, { timeout: 60_000 }).toContain('0010_events_with_data');
        await expect.poll(() => waitingFor(other.pool, 'index concurrently'), { timeout: 60_000 }).toBe(1);
        await atOnce(`insert into tandem.events (user_id, type) values ('2', 'x')`);
        // The simple protocol is used: the extended protocol keeps a portal with its snapshot, and the index waits for
        // snapshots.
        await adoption.query('select from tandem.settings for update');
      });
      await expect.poll(pending, { timeout: 60_000 }).not.toContain('0010_events_with_data');
      await expect.poll(() => waitingFor(other.pool, 'alter table'), { timeout: 60_000 }).toBe(1);
      for (let i = 0; i < 20; i++) await atOnce('select revision from tandem.settings');
      expect(await pending()).toContain('0011_count_of_erasures');
    });
    await migrating;
    expect((await schemaState(other.pool)).state).toBe('current');
    const index = `select from pg_index where indexrelid = 'tandem.events_with_data'::regclass and indisvalid`;
    expect(await query(other.pool, { text: index })).toHaveLength(1);
  } finally {
    await other.drop();
  }
});

test('an incomplete index is built again', async () => {
  const folder = await folderOf({
    '0001_first.sql': 'create table one (x int); insert into one values (1), (1);',
    '0002_index.sql': `-- First a comment.
drop index concurrently if exists one_x;
create unique index concurrently one_x on one (x);`,
  });
  const other = await createTestDatabase(inject('databaseUrl'));
  try {
    await expect(migrate(other.url, () => {}, folder)).rejects.toThrow('0002_index');
    await query(other.pool, { text: 'truncate one' });
    expect(await migrate(other.url, () => {}, folder)).toEqual(['0002_index']);
    expect(
      await query(other.pool, {
        text: `select from pg_index where indexrelid = 'one_x'::regclass and indisvalid`,
      }),
    ).toHaveLength(1);
  } finally {
    await other.drop();
  }
});

test('users named . and .. of an earlier release are erased, and their events are rejected', async () => {
  const other = await createTestDatabase(inject('databaseUrl'));
  const send = (user: string) =>
    query(other.pool, { text: `insert into tandem.events (user_id, type) values ($1, 'x')`, values: [user] });
  try {
    await migrate(other.url, () => {}, await releasedBefore('0024'));
    await query(other.pool, { text: `update tandem.settings set key_type = 'text'` });
    for (const user of ['.', '..', '..', '...']) await send(user);
    await migrate(other.url);
    const { rows } = await other.pool.query(`select c.user_id, c.version::int, c.deleted_version::int as deleted,
        e.number::int, e.sweep_at <= clock_timestamp() as "isDue"
      from tandem.user_contexts c left join tandem.erasures e using (user_id) order by user_id`);
    expect(rows).toEqual([
      { user_id: '.', version: 2, deleted: 2, number: 1, isDue: true },
      { user_id: '..', version: 3, deleted: 3, number: 2, isDue: true },
      { user_id: '...', version: 1, deleted: 0, number: null, isDue: null },
    ]);
    expect((await other.pool.query('select erasures::int from tandem.settings')).rows).toEqual([{ erasures: 2 }]);
    await expect(send('..')).rejects.toMatchObject({
      message: expect.stringContaining('the user id is . or ..'),
      hint: 'give the user another id in its source',
    });
    await send('...');
  } finally {
    await other.drop();
  }
});

test('an event horizon that is not above zero is rejected; such a horizon of an earlier release gets the default', async () => {
  const other = await createTestDatabase(inject('databaseUrl'));
  const set = (horizon: string) =>
    query(other.pool, { text: 'update tandem.settings set event_horizon = $1', values: [horizon] });
  const horizon = () => query(other.pool, { text: 'select event_horizon::text as horizon from tandem.settings' });
  try {
    await migrate(other.url, () => {}, await releasedBefore('0071'));
    await set('-2 days');
    await migrate(other.url);
    expect(await horizon()).toEqual([{ horizon: '30 days' }]);
    for (const wrong of ['-2 days', '0']) await expect(set(wrong)).rejects.toThrow('event_horizon_above_zero');
    await set('2 days');
    expect(await horizon()).toEqual([{ horizon: '2 days' }]);
  } finally {
    await other.drop();
  }
});

test('events are partitioned by day under open sessions: their statements, triggers and rights keep working', async () => {
  const other = await createTestDatabase(inject('databaseUrl'));
  const role = `sender_${randomUUID().slice(0, 8)}`;
  const application = await other.pool.connect();
  const versionOf = async (user: string) =>
    (
      await query<{ version: number }>(other.pool, {
        text: 'select version::int from tandem.user_contexts where user_id = $1',
        values: [user],
      })
    )[0]?.version;
  // The statement runs often enough for its plan to be cached.
  const insertOften = async () => {
    for (let i = 0; i < 6; i++)
      await application.query({ name: 'tell', text: 'insert into purchases values ($1)', values: ['1'] });
  };
  const sent = (id: string) => ({ source: 'http', id, type: 'x', userId: '2', time: null, data: { a: 1 } });
  const sendOverHttp = (id: string) => createEventStore(other.pool).accept([sent(id)]);
  // The statement of the earlier release.
  const sendEarlier = (id: string) =>
    query(other.pool, { text: 'select from tandem.send_events($1, 1000)', values: [JSON.stringify([sent(id)])] });
  try {
    await migrate(other.url, () => {}, await releasedBefore('0051_events'));
    await query(other.pool, { text: `update tandem.settings set key_type = 'text'` });
    await application.query(`create role ${role}; grant usage on schema tandem to ${role};
      grant insert (user_id, source) on tandem.events to ${role}; create table purchases (customer text);
      create function tell() returns trigger language plpgsql as $$ begin
        insert into tandem.events (user_id) values (new.customer); return null; end $$;
      create trigger tell after insert on purchases for each row execute function tell(); grant insert on purchases to ${role};
      set role ${role}`);
    await insertOften();
    await sendEarlier('before');
    await transaction(other.pool, async (open) => {
      await open.query(`insert into tandem.events (user_id) values ('3')`);
      const migrating = migrate(other.url);
      await expect.poll(() => waitingFor(other.pool, 'alter table tandem.events rename')).toBe(1);
      await insertOften();
      await open.query('commit; begin');
      await migrating;
    });
    await insertOften();
    expect(await versionOf('1')).toBe(18);
    expect(await sendOverHttp('before')).toMatchObject([{ status: 'duplicate' }]);
    expect(await sendOverHttp('after')).toMatchObject([{ status: 'accepted', contextVersion: 2 }]);
    const countOf = async (table: string) => (await other.pool.query(`select from tandem.${table}`)).rowCount;
    expect([await countOf('events_before'), await countOf('events')]).toEqual([14, 7]);
    await application.query(`insert into tandem.events (user_id, source) values ('1', 'sql')`);
    await expect(application.query(`insert into tandem.events (user_id, type) values ('1', 'x')`)).rejects.toThrow(
      'permission denied',
    );
    const erasures = createErasureStore(other.pool);
    const { tombstone } = await erasures.setTombstone('2');
    expect(await erasures.deleteRows([tombstone.number])).toMatchObject({ events: 2 });
  } finally {
    await application.query(`reset role; drop table if exists purchases; drop owned by ${role}; drop role ${role}`);
    application.release();
    await other.drop();
  }
});

/** Returns the number of sessions that wait for a lock in a matching statement. */
async function waitingFor(pool: pg.Pool, statement: string): Promise<number> {
  const rows = await query(pool, {
    text: `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
      and pid <> pg_backend_pid() and position($1 in query) > 0`,
    values: [statement],
  });
  return rows.length;
}

/** Copies Tandem's migrations up to the given one. */
async function releasedBefore(number: string): Promise<URL> {
  const folder = new URL('../../../migrations/', import.meta.url);
  const names = (await readdir(folder)).filter((name) => name < number);
  const files = await Promise.all(names.map(async (name) => [name, await readFile(new URL(name, folder), 'utf8')]));
  return folderOf(Object.fromEntries(files) as Record<string, string>);
}

async function folderOf(files: Record<string, string>): Promise<URL> {
  const folder = await mkdtemp(join(tmpdir(), 'migrations-'));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return pathToFileURL(`${folder}/`);
}

test('a function that disables sequential scans also disables compiling, which their cost would trigger', async () => {
  const { rows } = await database.pool.query<{ name: string; settings: string[] }>(
    `select proname as name, proconfig as settings from pg_proc
      where pronamespace = 'tandem'::regnamespace and 'enable_seqscan=off' = any(proconfig) order by 1`,
  );
  expect(rows.map(({ name }) => name)).toEqual([
    'accept_events',
    'accept_outcomes',
    'count_exposures',
    'raise_changed',
    'send_events',
  ]);
  for (const { name, settings } of rows) expect(settings, name).toContain('jit=off');
});

test('a migration restores the limits of a given connection', async () => {
  const limits = async () => (await database.pool.query('show lock_timeout')).rows;
  const before = await limits();
  await migrate(database.pool);
  expect(await limits()).toEqual(before);
});

test('a database with other defaults can be migrated', async () => {
  const other = await createTestDatabase(inject('databaseUrl'));
  await setDefaults(other.url, together('all', Object.values(HOSTILE_DEFAULTS).flat()));
  expect(await migrate(other.url)).not.toEqual([]);
  expect((await schemaState(other.pool)).state).toBe('current');
  await other.drop();
});
