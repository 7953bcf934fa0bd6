import type { Expiry } from '@tandem/prediction/runs/expire';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { createExpiries } from '../retention.ts';
import { createPool, query, transaction } from '../sql/database.ts';
import { createTestDatabase, createVisits, type TestDatabase, visitsPredictor } from '../store.fixture.ts';
import { createEventStore } from './events.ts';

let database: TestDatabase;
let pool: pg.Pool;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  pool = database.pool;
});
beforeEach(async () => {
  await database.reset();
  for (const { partition } of await days()) await pool.query(`drop table ${partition}`);
  await pool.query('select tandem.make_event_days()');
  await createVisits(pool, 3);
  await adopt(pool, { predictors: [visitsPredictor()], actor: 'test' });
});
afterAll(() => database.drop());

const days = () =>
  query<{ partition: string; inDays: number }>(pool, {
    text: `select 'tandem.' || c.relname as partition, to_date(substr(c.relname, 8), 'YYYYMMDD') - ${TODAY} as "inDays"
      from pg_class c where c.relnamespace = 'tandem'::regnamespace and c.relname ~ '^events_\\d{8}$' order by 1`,
  });
const inDays = async () => (await days()).map((day) => day.inDays);
const TODAY = `(clock_timestamp() at time zone 'UTC')::date`;

/** Creates a partition as a worker did that many days ago. */
async function makeDay(ago: number): Promise<string> {
  const [day] = await query<{ name: string; from: string; to: string }>(pool, {
    text: `select 'tandem.events_' || to_char(d, 'YYYYMMDD') as name, d::text as from, (d + 1)::text as to
      from (select ${TODAY} - $1::int as d) ago`,
    values: [ago],
  });
  if (!day) throw new Error('Postgres told no day');
  await pool.query(`create table ${day.name} (like tandem.events);
    alter table tandem.events attach partition ${day.name} for values from ('${day.from}') to ('${day.to}')`);
  return day.name;
}

/** Sets the acceptance of a day's newest event to this many days ago. */
async function fillDay(ago: number, acceptedAgo = ago): Promise<string> {
  const partition = await makeDay(ago);
  await pool.query(
    `insert into tandem.events (user_id, day) values ('1', ${TODAY} - ${ago}), ('2', ${TODAY} - ${ago})`,
  );
  await pool.query(`update ${partition} set accepted_at = accepted_at - interval '${acceptedAgo} days'`);
  return partition;
}

const eventsStep = (by = pool): Expiry => {
  const step = createExpiries(by).find(({ name }) => name === 'events');
  if (!step) throw new Error('events do not expire');
  return step;
};
async function keepDays(by = pool): Promise<void> {
  for (const step = eventsStep(by); !(await step.expireSome()).isDone; );
}
const send = (db: { query(text: string): Promise<unknown> } = pool, user = '1') =>
  db.query(`insert into tandem.events (user_id) values ('${user}')`);
const countIn = async (table: string) => (await pool.query(`select from ${table}`)).rowCount;

test('days are created ahead; a day is dropped as a whole when all its events are past the horizon, not before', async () => {
  await fillDay(40);
  await fillDay(32);
  await fillDay(30);
  await keepDays();
  expect(await inDays()).toEqual([-30, 0, 1, 2, 3]);
  expect(await countIn('tandem.events')).toBe(2);
  await keepDays();
  expect(await inDays()).toEqual([-30, 0, 1, 2, 3]);
});

test('days are also created and dropped through a pooler that lends a session for one transaction', async () => {
  await fillDay(40);
  const pooled = createPool({ url: database.url, throughPooler: true, applicationName: 'days-test' });
  await keepDays(pooled).finally(() => pooled.end());
  expect(await inDays()).toEqual([0, 1, 2, 3]);
});

test('while no worker runs, the last day receives all events, and is kept until its newest event has expired', async () => {
  const last = await makeDay(40);
  for (const { partition, inDays } of await days()) if (inDays >= 0) await pool.query(`drop table ${partition}`);
  const asLastMade = (ago: number) =>
    pool.query(`do $$ begin execute format('create or replace function tandem.event_day() returns date
      return greatest(date %L, least(date %L, ${TODAY.replaceAll("'", "''")}))', ${TODAY} - ${ago}, ${TODAY} - ${ago}); end $$`);
  await asLastMade(40);
  await send();
  expect(await countIn(last)).toBe(1);
  await keepDays();
  expect(await inDays()).toEqual([-40, 0, 1, 2, 3]);
  await send();
  expect(await countIn(last)).toBe(1);
  await pool.query(`update ${last} set accepted_at = accepted_at - interval '31 days'`);
  await keepDays();
  expect(await inDays()).toEqual([0, 1, 2, 3]);
});

test('a session that has sent events before uses days that were created since', async () => {
  const { rows } = await transaction(pool, async (db) => {
    await db.query(
      `prepare tell as insert into tandem.events (user_id) values ('1') returning tableoid::regclass::text as day`,
    );
    for (let i = 0; i < 6; i++) await db.query('execute tell');
    await db.query('commit; begin');
    await db.query(`create or replace function tandem.event_day() returns date return ${TODAY} + 1`);
    return db.query<{ day: string }>('execute tell');
  });
  expect(rows[0]?.day).toBe((await days()).find((day) => day.inDays === 1)?.partition);
});

/**
 * Leaves the state of a worker that was killed while it detached a day, behind a transaction that has sent an event.
 */
async function cutDetachingShort(meanwhile = async () => {}): Promise<void> {
  await transaction(pool, async (application) => {
    await send(application);
    const keeping = keepDays().catch((error: unknown) => error);
    const waiting = `pg_stat_activity where datname = current_database() and query like 'alter table tandem.events detach%'
      and wait_event_type = 'Lock'`;
    await expect.poll(() => countIn(waiting)).toBe(1);
    await meanwhile();
    await pool.query(`select pg_cancel_backend(pid) from ${waiting}`);
    expect(await keeping).toMatchObject({ code: 'unavailable' });
  });
  await expect(pool.query(`insert into tandem.events (user_id, day) values ('1', ${TODAY} - 40)`)).rejects.toThrow(
    'no partition',
  );
}

test('an event does not wait for the creation or drop of a day, even if a transaction that sent an event stays open', async () => {
  await fillDay(40);
  await pool.query(`drop table ${(await days()).at(-1)?.partition}`);
  await cutDetachingShort(async () => {
    await transaction(pool, async (other) => {
      await other.query(`set local lock_timeout = '1ms'`);
      await send(other, '3');
    });
    expect((await inDays()).at(-1)).toBe(3);
  });
  await keepDays();
  expect(await inDays()).toEqual([0, 1, 2, 3]);
});

test.each([
  [
    'a statement of minutes',
    (db: pg.PoolClient) => db.query('declare plan cursor for select from tandem.user_contexts'),
  ],
  ['a transaction that has sent an event', (db: pg.PoolClient) => send(db)],
])('a day whose detaching was interrupted is dropped while %s is running', async (_, begin) => {
  await fillDay(40);
  await cutDetachingShort();
  await transaction(pool, async (other) => {
    await begin(other);
    await keepDays();
    expect(await inDays()).toEqual([0, 1, 2, 3]);
  });
});

test('an id that is used concurrently across midnight for another user is rejected', async () => {
  const event = { source: 'race', id: '1', type: 'x', time: null, data: null };
  const store = createEventStore(pool);
  const sent = await transaction(pool, async (before) => {
    await before.query(
      `insert into tandem.events (source, id, type, user_id, day) values ('race', '1', 'x', '1', ${TODAY})`,
    );
    await pool.query(`create or replace function tandem.event_day() returns date return ${TODAY} + 1`);
    const after = store.accept([{ ...event, userId: '2' }]).catch((error: unknown) => error);
    await expect
      .poll(() => countIn(`pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`))
      .toBe(1);
    return { after };
  });
  expect(await sent.after).toMatchObject({ code: 'event_conflict', field: '[0].id' });
  expect(await store.accept([{ ...event, userId: '1' }])).toMatchObject([{ status: 'duplicate', contextVersion: 1 }]);
  expect(await query(pool, { text: 'select user_id, version::int from tandem.user_contexts' })).toEqual([
    { user_id: '1', version: 1 },
  ]);
  expect(await countIn('tandem.events')).toBe(1);
});

test('no event reads or locks other days, even if it is repeated or its user is erased', async () => {
  const old = await fillDay(3);
  await pool.query(`update tandem.user_contexts set deleted_version = version where user_id = '2'`);
  await transaction(pool, async (db) => {
    await db.query(
      `insert into tandem.events (id, user_id, data) values ('a', '1', '{}'), ('b', '2', '{"orders": 1}')`,
    );
    const again = await createEventStore(db as unknown as pg.Pool).accept([
      { source: 'sql', id: 'a', type: 'user.changed', userId: '1', time: null, data: {} },
      { source: 'sql', id: 'c', type: 'user.changed', userId: '1', time: null, data: null },
    ]);
    expect(again.map(({ status }) => status)).toEqual(['duplicate', 'accepted']);
    const { rows } = await db.query(`select distinct relation::regclass::text as name from pg_locks
      where pid = pg_backend_pid() and relation::regclass::text ~ 'events_\\d{8}$'`);
    expect(rows.map(({ name }) => name)).toEqual([(await days()).find((day) => day.inDays === 0)?.partition]);
    expect((await db.query(`select data from tandem.events where id = 'b'`)).rows).toEqual([{ data: null }]);
  });
  expect(await countIn(old)).toBe(2);
});
