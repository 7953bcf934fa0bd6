import type { ContextEvent } from '@tandem/prediction/events/events';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { createOverlayStore } from '../reads/overlay.ts';
import { observeVisible } from '../reads/visible-delays.ts';
import { createExpiries } from '../retention.ts';
import { transaction } from '../sql/database.ts';
import { createTestDatabase, expireRows, type TestDatabase, visitsPredictor } from '../store.fixture.ts';
import { createErasureStore } from '../users/erasures.ts';
import { dropContextValues } from './context-values.ts';
import { createEventStore } from './events.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
beforeEach(async () => {
  await database.reset();
  await setHorizon('31 days');
  await adopt(database.pool, { predictors: [visitsPredictor(), rowsOnly], actor: 'test' });
});
afterAll(() => database.drop());

/** A predictor that uses no values of events. */
const other = visitsPredictor({ name: 'other' });
const rowsOnly = {
  ...other,
  definition: { ...other.definition, query: { ...other.definition.query, asOf: null } },
};
const setHorizon = (horizon: string | null) =>
  database.pool.query('update tandem.settings set context_horizon = $1', [horizon]);
let count = 0;
const send = (userId: string, changes: Partial<ContextEvent> = {}) =>
  createEventStore(database.pool, { lockTimeoutMs: 20_000 }).accept([
    { source: 't', id: `e${++count}`, type: 'x', userId, time: null, data: { orders: 7 }, ...changes },
  ]);
/** Lets days pass for the contexts of these users. */
const age = (days: number, ...userIds: string[]) =>
  database.pool.query(
    `update tandem.user_contexts set updated_at = updated_at - $1 * interval '1 day' where user_id = any($2)`,
    [days, userIds],
  );
async function contexts() {
  const { rows } = await database.pool.query(
    `select user_id as "userId", version::int, touched, features -> 'orders' -> 'value' as orders,
      array(select jsonb_object_keys(demanded)) as demanded, updated_at > now() - interval '1 day' as "isRecent" from tandem.user_contexts order by user_id`,
  );
  return rows;
}
const expireSome = () =>
  createExpiries(database.pool)
    .find(({ name }) => name === 'user_contexts')
    ?.expireSome();

test('the values of a user without an event for the configured days are dropped; row and version stay', async () => {
  for (const userId of ['1', '1', '2', '3']) await send(userId);
  await database.pool.query(
    `update tandem.user_contexts set demanded = '{"visits": [], "other": []}' where user_id <> '3'`,
  );
  await age(32, '1', '3');
  await age(30, '2');
  await send('3', { data: null });
  expect(await expireRows(database.pool)).toBe(1);
  const expected = [
    { userId: '1', version: 4, touched: { visits: 3, other: 2 }, orders: null, demanded: ['other'], isRecent: true },
    {
      userId: '2',
      version: 1,
      touched: { visits: 1, other: 1 },
      orders: 7,
      demanded: ['other', 'visits'],
      isRecent: false,
    },
    { userId: '3', version: 2, touched: { visits: 2, other: 2 }, orders: 7, demanded: [], isRecent: true },
  ];
  expect(await contexts()).toEqual(expected);
  expect(await expireRows(database.pool)).toBe(0);
  expect(await contexts()).toEqual(expected);
  await age(32, '1');
  expect(await expireRows(database.pool)).toBe(0);
  expect(await send('1')).toMatchObject([{ contextVersion: 5 }]);
});

test('nothing is dropped without a horizon, which must exceed the horizon of events', async () => {
  const { rows } = await database.pool.query(
    `select column_default from information_schema.columns where column_name = 'context_horizon'`,
  );
  expect(rows).toEqual([{ column_default: null }]);
  await setHorizon(null);
  await send('1');
  await age(10_000, '1');
  expect(await expireRows(database.pool)).toBe(0);
  expect(await contexts()).toMatchObject([{ version: 1, orders: 7 }]);
  await expect(setHorizon('30 days')).rejects.toThrow('context_horizon_above_event_horizon');
  await expect(
    database.pool.query(`update tandem.settings set event_horizon = '31 days', context_horizon = '31 days'`),
  ).rejects.toThrow('context_horizon_above_event_horizon');
});

test('an event that is open during a drop keeps its values; an event after the drop counts on top of it', async () => {
  await send('1');
  await send('2');
  await age(32, '1', '2');
  const sender = await database.pool.connect();
  await sender.query('begin');
  await sender.query(`insert into tandem.events (user_id, data) values ('1', '{"orders": 8}')`);
  const { dropped, sent } = await transaction(database.pool, async (db) => {
    const dropped = await dropContextValues(db, null);
    const sent = send('2', { data: { orders: 9 } });
    const waits = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    await expect.poll(async () => (await database.pool.query(waits)).rowCount).toBe(1);
    return { dropped, sent };
  });
  await sender.query('commit');
  sender.release();
  expect(dropped).toEqual({ rows: 1, isDone: true, next: null });
  expect(await sent).toMatchObject([{ status: 'accepted', contextVersion: 4 }]);
  expect(await contexts()).toMatchObject([
    { userId: '1', version: 2, orders: 8 },
    { userId: '2', version: 4, orders: 9 },
  ]);
  expect(await expireRows(database.pool)).toBe(0);
});

test('an event that commits after a drop has found its user, and before it locks the user, keeps its values', async () => {
  await send('1');
  await age(32, '1');
  const columns = 'one, key_type, event_horizon, revision, erasures, protocol, withdrawals';
  await database.pool.query(`
    create function tandem.wait_for_event(horizon interval) returns interval language plpgsql stable as
      $$ begin perform pg_advisory_xact_lock(1); return horizon; end $$;
    alter table tandem.settings rename to all_settings;
    create view tandem.settings as select ${columns}, tandem.wait_for_event(context_horizon) as context_horizon from tandem.all_settings`);
  const gate = await database.pool.connect();
  await gate.query('begin; select pg_advisory_xact_lock(1)');
  const dropping = transaction(database.pool, (db) => dropContextValues(db, null));
  const waits = `select from pg_stat_activity where datname = current_database() and wait_event = 'advisory'`;
  await expect.poll(async () => (await database.pool.query(waits)).rowCount).toBe(1);
  await send('1', { data: { orders: 9 } });
  await gate.query('commit');
  gate.release();
  const dropped = await dropping;
  await database.pool.query(`drop view tandem.settings; alter table tandem.all_settings rename to settings;
    drop function tandem.wait_for_event`);
  expect(dropped).toMatchObject({ rows: 0 });
  expect(await contexts()).toMatchObject([{ version: 2, orders: 9 }]);
});

test('an erased user stays erased, even if its context still had values', async () => {
  await send('1');
  await createErasureStore(database.pool).setTombstone('1');
  await database.pool.query(`update tandem.user_contexts set features = '{"orders": {"value": 7}}'`);
  await age(10_000, '1');
  expect(await expireRows(database.pool)).toBe(0);
  expect(await contexts()).toMatchObject([{ version: 2 }]);
  expect(await send('1')).toMatchObject([{ status: 'erased' }]);
});

test('a transaction drops at most a thousand contexts, and a walk over the key, which begins with a horizon, finds all', async () => {
  await database.pool.query(`insert into tandem.user_contexts (user_id, version, features, updated_at)
    select n::text, 1, case when n % 5 = 0 then '{"orders": {"value": 7}}' else '{}' end::jsonb, now() - interval '32 days'
    from generate_series(1, 12500) n`);
  await setHorizon(null);
  expect(await expireSome()).toEqual({ rows: 0, isDone: true });
  const began = `select from tandem.expiry_steps where step = 'user_contexts' and position is not null`;
  expect((await database.pool.query(began)).rowCount).toBe(0);
  await setHorizon('31 days');
  const sender = await database.pool.connect();
  await sender.query(`begin; select from tandem.user_contexts where user_id = '10' for update`);
  expect(await expireSome()).toEqual({ rows: 999, isDone: false });
  await sender.query('rollback');
  sender.release();
  expect(await expireSome()).toEqual({ rows: 1_000, isDone: false });
  expect(await expireSome()).toEqual({ rows: 500, isDone: true });
  expect(await expireSome()).toEqual({ rows: 1, isDone: true });
  const { rows } = await database.pool.query(
    `select version::int, count(*)::int from tandem.user_contexts where features = '{}' group by 1 order by 1`,
  );
  expect(rows).toEqual([
    { version: 1, count: 10_000 },
    { version: 3, count: 2_500 },
  ]);
});

test('a predictor that is adopted during a drop waits for it, as for an event', async () => {
  await send('1');
  await age(32, '1');
  const predictors = [visitsPredictor(), rowsOnly, visitsPredictor({ name: 'third' })];
  const adopting = await transaction(database.pool, async (db) => {
    await dropContextValues(db, null);
    const adopting = adopt(database.pool, { predictors, actor: 'test' });
    const waits = `select from tandem.pending_rules where predictor = 'third' and cardinality(senders) = 1`;
    await expect.poll(async () => (await database.pool.query(waits)).rowCount).toBe(1);
    return { adopting };
  });
  await adopting.adopting;
  expect(await contexts()).toMatchObject([{ version: 3, touched: { visits: 2, other: 1 } }]);
});

test('the measure of delays counts events, and no drop', async () => {
  const delays: number[] = [];
  const metrics = { eventVisible: { observe: (_: unknown, seconds: number) => void delays.push(seconds) } };
  const store = observeVisible(createOverlayStore(database.pool), database.pool, metrics);
  const { rows } = await database.pool.query<{ id: string; history: string }>(
    `select id, tandem.current_history() as history from tandem.model_versions where predictor = 'visits'`,
  );
  const putAt = (contextVersion: number) =>
    store.put(
      rows.map(({ id, history }) => ({
        ...{ predictor: 'visits', userId: '1', modelVersionId: id, history, overlayFloor: 0, contextVersion },
        ...{ source: 'live', computedAt: Date.now(), outputs: Buffer.from('0') },
      })),
    );
  await send('1');
  await putAt(1);
  expect(delays).toHaveLength(1);
  await age(32, '1');
  await expireRows(database.pool);
  await putAt(3);
  expect(delays).toHaveLength(1);
  await send('1');
  await putAt(4);
  expect(delays).toHaveLength(2);
});
