import { TandemError } from '@tandem/freshness/errors';
import type { ContextEvent, EventResult, EventStore } from '@tandem/prediction/events/events';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { createPool, query, transaction } from '../sql/database.ts';
import { createTestDatabase, type TestDatabase, visitsPredictor } from '../store.fixture.ts';
import { createEventStore } from './events.ts';

let database: TestDatabase;
let store: EventStore;
let user = 1000;

beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  const orders = visitsPredictor({ name: 'orders' });
  const policy = { ...orders.policy, freshness: { ...orders.policy.freshness, events: ['order.*'] } };
  await adopt(database.pool, { predictors: [visitsPredictor(), { ...orders, policy }], actor: 'test' });
  // Long time limits: many senders of one user wait in turn, and the machine may be busy.
  store = createEventStore(database.pool, { lockTimeoutMs: 20_000 });
});
afterAll(() => database.drop());
beforeEach(() => {
  user++;
});

let count = 0;
function event(changes: Partial<ContextEvent> = {}): ContextEvent {
  return {
    source: 'shop',
    id: `e${++count}`,
    type: 'user.changed',
    userId: String(user),
    time: null,
    data: null,
    ...changes,
  };
}

async function contextOf(userId: string) {
  const [context] = await query<{
    version: number;
    touched: Record<string, number>;
    features: Record<string, { value: unknown; id: string }>;
  }>(database.pool, {
    text: 'select version, touched, features from tandem.user_contexts where user_id = $1',
    values: [userId],
  });
  return context;
}

async function valuesOf(userId: string): Promise<Record<string, unknown>> {
  const features = (await contextOf(userId))?.features ?? {};
  return Object.fromEntries(Object.entries(features).map(([name, entry]) => [name, entry.value]));
}

async function countRows(table: string, where: string): Promise<number> {
  const rows = await query<{ n: number }>(database.pool, {
    text: `select count(*) as n from tandem.${table} where ${where}`,
  });
  return rows[0]?.n ?? -1;
}

async function refusal(events: readonly ContextEvent[]): Promise<TandemError> {
  const error = await store.accept(events).catch((reason: unknown) => reason);
  if (!(error instanceof TandemError)) throw new Error(`expected a TandemError, got ${String(error)}`);
  return error;
}

describe('versions', () => {
  test('each accepted event raises its user’s version by one, and its token names history and version', async () => {
    const results = await store.accept([event(), event(), event({ userId: String(user + 500_000) })]);
    expect(results.map((one) => [one.status, one.contextVersion])).toEqual([
      ['accepted', 1],
      ['accepted', 2],
      ['accepted', 1],
    ]);
    expect(results[0]?.contextToken).toMatch(/^[0-9a-f]{16}\.1$/);
    expect((await store.accept([event()]))[0]?.contextVersion).toBe(3);
  });

  test('an event with a value of a predictor’s feature concerns the predictor, whatever its type', async () => {
    await store.accept([
      event({ type: 'page.viewed', data: { orders: 3 } }),
      event({ type: 'page.viewed', data: { odd: 1 } }),
    ]);
    expect((await contextOf(String(user)))?.touched).toEqual({ visits: 2, orders: 1 });
    await store.accept([event({ type: 'page.viewed', data: { orders: null } })]);
    expect((await contextOf(String(user)))?.touched).toEqual({ visits: 3, orders: 3 });
  });

  test('only events that match its patterns concern a predictor', async () => {
    await store.accept([event({ type: 'order.paid' }), event({ type: 'page.viewed' })]);
    expect((await contextOf(String(user)))?.touched).toEqual({ visits: 2, orders: 1 });
  });

  test('concurrent events of one user get every version exactly once', async () => {
    const results = (await Promise.all(Array.from({ length: 60 }, () => store.accept([event()])))).flat();
    expect(results.map((one) => one.contextVersion).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 60 }, (_, i) => i + 1),
    );
  });
});

describe('duplicates', () => {
  test('a repeated event is answered with the version that it produced, and changes nothing', async () => {
    const first = event({ data: { orders: 3 } });
    await store.accept([first, event()]);
    const [again] = await store.accept([first]);
    expect(again).toMatchObject({ status: 'duplicate', contextVersion: 1 });
    expect((await contextOf(String(user)))?.version).toBe(2);
    expect(await countRows('events', `user_id = '${user}'`)).toBe(2);
  });

  test('an event twice in one batch counts once', async () => {
    const one = event();
    const results = await store.accept([one, event(), one]);
    expect(results.map((result) => [result.status, result.contextVersion])).toEqual([
      ['accepted', 1],
      ['accepted', 2],
      ['duplicate', 1],
    ]);
  });

  test('of fifty identical concurrent posts, one is accepted and all return the same version', async () => {
    const one = event({ data: { recency: 1 } });
    const results = (await Promise.all(Array.from({ length: 50 }, () => store.accept([one])))).flat();
    expect(results.filter((result) => result.status === 'accepted')).toHaveLength(1);
    expect(new Set(results.map((result) => result.contextVersion))).toEqual(new Set([1]));
  });

  test('an id that is used for another event is a conflict that names its position, and nothing is applied', async () => {
    const one = event();
    await store.accept([one]);
    const error = await refusal([event(), { ...one, type: 'other' }]);
    expect([error.code, error.field]).toEqual(['event_conflict', '[1].id']);
    expect((await refusal([event({ id: 'x' }), event({ id: 'x', data: { orders: 1 } })])).field).toBe('[1].id');
    expect((await contextOf(String(user)))?.version).toBe(1);
  });

  test('of two concurrent events with one id for two users, one is accepted and the other is a conflict', async () => {
    for (let round = 0; round < 20; round++) {
      const id = `shared-${user}-${round}`;
      const outcomes = await Promise.allSettled([
        store.accept([event({ id })]),
        store.accept([event({ id, userId: String(user + 500_000) })]),
      ]);
      const errors = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason as TandemError] : []));
      expect(errors.map((one) => one.code)).toEqual(['event_conflict']);
    }
  });
});

describe('feature values', () => {
  const at = (seconds: number) => new Date(Date.now() - 60_000 + seconds * 1000);

  test('the value with the latest event time applies, whatever the order of arrival', async () => {
    await store.accept([event({ time: at(2), data: { orders: 2, city: 'late' } })]);
    await store.accept([
      event({ time: at(3), data: { orders: 3 } }),
      event({ time: at(1), data: { orders: 1, city: 'early' } }),
    ]);
    expect(await valuesOf(String(user))).toEqual({ orders: 3, city: 'late' });
  });

  test('for equal times the greater source and id wins, across batches and within a batch', async () => {
    const time = at(0);
    await store.accept([event({ time, id: `${user}-b`, data: { orders: 2 } })]);
    await store.accept([event({ time, id: `${user}-a`, data: { orders: 1 } })]);
    expect(await valuesOf(String(user))).toEqual({ orders: 2 });
    await store.accept([
      event({ time, id: `${user}-d`, data: { orders: 4 } }),
      event({ time, id: `${user}-c`, data: { orders: 3 } }),
    ]);
    expect(await valuesOf(String(user))).toEqual({ orders: 4 });
  });

  test('null removes a value, and an older event does not restore it', async () => {
    await store.accept([event({ time: at(1), data: { orders: 5 } })]);
    await store.accept([event({ time: at(3), data: { orders: null } })]);
    await store.accept([event({ time: at(2), data: { orders: 6 } })]);
    expect(await valuesOf(String(user))).toEqual({ orders: null });
  });

  test('names that no predictor uses are ignored, and counted when they are relayed', async () => {
    const results = await store.accept([
      event({ data: { orders: 1, nonsense: 1 } }),
      event({ data: { nonsense: 2 } }),
      event({ data: { orders: null } }),
      event(),
    ]);
    expect(results.map(({ ignored }) => ignored)).toEqual([['nonsense'], ['nonsense'], undefined, undefined]);
    expect(results.map(({ contextVersion }) => contextVersion)).toEqual([1, 2, 3, 4]);
    expect(await valuesOf(String(user))).toEqual({ orders: null });
    const rows = await query<{ names: string[] }>(database.pool, {
      text: 'select unused_names as names from tandem.outbox where user_id = $1',
      values: [String(user)],
    });
    expect(rows).toEqual([{ names: ['nonsense', 'nonsense'] }]);
  });

  test('an acknowledgement names ten unused names, cut to 64 characters, also for a duplicate', async () => {
    const names = Array.from({ length: 12 }, (_, i) => `${String(i).padStart(2, '0')}${'x'.repeat(200)}`);
    const one = event({ data: Object.fromEntries([['orders', 1], ...names.map((name) => [name, 1])]) });
    for (const status of ['accepted', 'duplicate']) {
      const [result] = await store.accept([one]);
      expect(result).toMatchObject({ status, ignored: names.slice(0, 10).map((name) => name.slice(0, 64)) });
    }
  });
});

describe('refusals', () => {
  const wrong: [string, Partial<ContextEvent>, string][] = [
    ['a user id in another spelling', { userId: '007' }, 'subject'],
    ['a user id beyond 64 bits', { userId: '9223372036854775808' }, 'subject'],
    ['a text for a number', { data: { recency: 'soon' } }, 'data.recency'],
    ['a fraction for an integer', { data: { orders: 1.5 } }, 'data.orders'],
    ['an integer that a double does not hold', { data: { orders: 2 ** 53 } }, 'data.orders'],
    ['a number for a boolean', { data: { member: 1 } }, 'data.member'],
    ['an object for a text', { data: { city: {} } }, 'data.city'],
    ['an id of 257 bytes', { id: 'x'.repeat(257) }, 'id'],
    ['an empty type', { type: '' }, 'type'],
    ['a source of blanks', { source: ' \t\u00a0' }, 'source'],
  ];
  test.each(wrong)('%s is rejected with its position in the batch, and nothing is applied', async (_, changes, field) =>
    expectRefused(changes, field),
  );

  // The limits are 5 minutes ahead and 30 days. The times count from the test, which may begin late in a long file.
  test.each([
    ['a time too far ahead', 330_000],
    ['a time beyond the horizon', -31 * 86_400_000],
  ])('%s is rejected with its position in the batch, and nothing is applied', async (_, aheadMs) =>
    expectRefused({ time: new Date(Date.now() + aheadMs) }, 'time'),
  );

  async function expectRefused(changes: Partial<ContextEvent>, field: string): Promise<void> {
    const error = await refusal([event(), event(), event(changes)]);
    expect([error.code, error.field]).toEqual(['invalid_input', `[2].${field}`]);
    expect(error.remedy).toBeTruthy();
    expect(await contextOf(String(user))).toBeUndefined();
  }

  test('a user id of twenty digits is reported as too large, not as having leading zeros', async () => {
    const error = await refusal([event({ userId: '12345678901234567890' })]);
    expect(error.message).toBe('The user id does not fit 64 bits.');
    expect(error.remedy).toContain('9223372036854775807');
  });

  test('a time four minutes ahead and one just within the horizon are accepted', async () => {
    const results = await store.accept([
      event({ time: new Date(Date.now() + 240_000) }),
      event({ time: new Date(Date.now() - 29 * 86_400_000) }),
    ]);
    expect(results.map((one) => one.status)).toEqual(['accepted', 'accepted']);
  });
});

describe('events written in SQL', () => {
  test('an application’s own trigger raises the version in the application’s transaction, and a rollback undoes it', async () => {
    const { pool } = database;
    await pool.query(`
      create table if not exists purchases (customer bigint, amount int);
      create or replace function purchase_event() returns trigger language plpgsql as $$ begin
        insert into tandem.events (type, user_id, data) values ('order.paid', new.customer::text, jsonb_build_object('orders', new.amount));
        return null; end $$;
      create or replace trigger purchase_event after insert on purchases for each row execute function purchase_event()`);
    await transaction(pool, async (db) => {
      await db.query(`insert into purchases values (${user}, 1), (${user}, 2)`);
      const [inside] = await query<{ version: number }>(db, {
        text: `select version from tandem.user_contexts where user_id = '${user}'`,
      });
      expect(inside?.version).toBe(2);
      expect(await contextOf(String(user))).toBeUndefined();
    });
    expect(await contextOf(String(user))).toMatchObject({ version: 2, touched: { visits: 2, orders: 2 } });
    const undone = transaction(pool, async (db) => {
      await db.query(`insert into purchases values (${user}, 3)`);
      throw new Error('the application changed its mind');
    });
    await expect(undone).rejects.toThrow('changed its mind');
    expect((await contextOf(String(user)))?.version).toBe(2);
    expect(await countRows('outbox', `user_id = '${user}' and context_version > 2`)).toBe(0);
  });

  test('Postgres sets the order and time of arrival, whatever the application writes', async () => {
    const { pool } = database;
    await pool.query(`insert into tandem.events (seq, user_id, type, data, accepted_at) values
      (999999999, '${user}', 'first', '{"orders": 1}', '2001-01-01'), (1, '${user}', 'second', '{"city": "x"}', '2099-01-01')`);
    const rows = await query<{ seq: number; type: string; near: boolean }>(pool, {
      text: `select seq, type, abs(extract(epoch from clock_timestamp() - accepted_at)) < 60 as near
        from tandem.events where user_id = $1 order by seq`,
      values: [String(user)],
    });
    expect(rows).toMatchObject([
      { type: 'first', near: true },
      { type: 'second', near: true },
    ]);
    expect(Math.max(...rows.map((row) => row.seq))).toBeLessThan(1_000_000);
    const { features } = (await contextOf(String(user))) as { features: Record<string, { accepted?: number }> };
    for (const { accepted = 0 } of Object.values(features))
      expect(Math.abs(accepted - Date.now())).toBeLessThan(60_000);
  });

  test('a repeated id is a duplicate, too, and an invalid value makes the application’s statement fail', async () => {
    const { pool } = database;
    const insert = `insert into tandem.events (source, id, user_id) values ('sql', 'twice-${user}', '${user}')`;
    await pool.query(insert);
    await pool.query(insert);
    expect((await contextOf(String(user)))?.version).toBe(1);
    expect(await countRows('events', `user_id = '${user}'`)).toBe(1);
    await expect(
      pool.query(`insert into tandem.events (user_id, data) values ('${user}', '{"orders": "many"}')`),
    ).rejects.toMatchObject({ code: 'TD422' });
    await expect(
      pool.query(`insert into tandem.events (source, user_id) values (' ', '${user}')`),
    ).rejects.toMatchObject({ code: 'TD422', message: 'the event source is only white space' });
  });

  test('an error names the column beside the field of the API, and shortens a long id', async () => {
    const insert = async (columns: string, ...values: string[]) => {
      const error: unknown = await database.pool
        .query(`insert into tandem.events (${columns}) values (${values.map((_, i) => `$${i + 1}`).join()})`, values)
        .catch((reason: unknown) => reason);
      const { column, detail } = error as { column?: string; detail?: string };
      return { shown: column, ...(JSON.parse(detail ?? '{}') as object) };
    };
    const named = { shown: 'user_id', column: 'user_id', field: 'subject', index: 0, source: 'sql', id: 'a' };
    expect(await insert('source, id, user_id', 'sql', 'a', '+1')).toEqual(named);
    const data = { shown: 'data', column: 'data', field: 'data.orders' };
    expect(await insert('user_id, data', String(user), '{"orders": "many"}')).toMatchObject(data);
    const long = { shown: 'id', field: 'id', id: `${'x'.repeat(64)}…` };
    expect(await insert('id, user_id', 'x'.repeat(5_000), String(user))).toMatchObject(long);
  });

  test('a null does not mean the default: Postgres rejects it and names the column', async () => {
    for (const column of ['source', 'id', 'type', 'user_id']) {
      const others = column === 'user_id' ? '' : ', user_id';
      const insert = `insert into tandem.events (${column}${others}) values (null${others && `, '${user}'`})`;
      await expect(database.pool.query(insert)).rejects.toMatchObject({ code: '23502', column });
    }
    const rows = await database.pool.query(`insert into tandem.events (user_id) values ('${user}') returning type`);
    expect(rows.rows).toEqual([{ type: 'user.changed' }]);
  });
});

describe('a sender with conflicting events', () => {
  test('is answered within the time limit of one attempt, however often it is retried', async () => {
    const { pool } = database;
    // Each attempt with this id conflicts after more than half of the time limit.
    await pool.query(`
      create sequence public.lost_races;
      create function public.lose_race() returns trigger language plpgsql as $$ begin
        perform nextval('public.lost_races'), pg_sleep(0.6);
        raise exception 'lost' using errcode = '40001';
      end $$;
      create trigger lose_race before insert on tandem.event_ids for each row when (new.id = 'racing')
        execute function public.lose_race()`);
    const hasty = createEventStore(pool, { withinMs: 1_000 });
    await expect(hasty.accept([event({ id: 'racing' })])).rejects.toMatchObject({
      code: 'unavailable',
      detail: expect.stringContaining('no answer within'),
    });
    const { rows } = await pool.query<{ races: number }>('select last_value::int as races from public.lost_races');
    expect(rows[0]?.races).toBeLessThan(3);
    await pool.query('drop trigger lose_race on tandem.event_ids');
  });
});

describe('users', () => {
  test('batches with two users in opposite order never deadlock', async () => {
    const [a, b] = [String(user), String(user + 500_000)];
    const batch = (first: string, second: string) =>
      store.accept([event({ userId: first }), event({ userId: second })]);
    const results: (readonly EventResult[])[] = [];
    for (let round = 0; round < 150; round++)
      results.push(...(await Promise.all([batch(a, b), batch(b, a), batch(a, b)])));
    expect(results.flat().filter((one) => one.status === 'accepted')).toHaveLength(900);
    expect((await contextOf(a))?.version).toBe(450);
  });

  test('an erased user’s events are acknowledged as erased, keep no data and raise no version', async () => {
    await store.accept([event({ data: { orders: 1 } })]);
    await database.pool.query(
      `update tandem.user_contexts set version = 2, deleted_version = 2, features = '{}' where user_id = '${user}'`,
    );
    const late = event({ data: { orders: 9 } });
    expect((await store.accept([late]))[0]).toMatchObject({ status: 'erased', contextVersion: 2 });
    expect((await store.accept([late]))[0]).toMatchObject({ status: 'duplicate', contextVersion: 2 });
    expect(await contextOf(String(user))).toMatchObject({ version: 2, features: {} });
    expect(await countRows('events', `user_id = '${user}' and id = '${late.id}' and data is not null`)).toBe(0);
  });

  test('a user that another transaction has locked gets a 503 for its events, and no other user does', async () => {
    await store.accept([event()]);
    const impatient = createEventStore(database.pool, { lockTimeoutMs: 50 });
    await transaction(database.pool, async (db) => {
      await db.query(`select from tandem.user_contexts where user_id = '${user}' for update`);
      await expect(impatient.accept([event()])).rejects.toMatchObject({ code: 'unavailable', retryAfter: 1 });
      expect((await impatient.accept([event({ userId: String(user + 500_000) })]))[0]?.status).toBe('accepted');
    });
    expect((await store.accept([event()]))[0]?.contextVersion).toBe(2);
  });
});

test('ten thousand events of as many users read a few rows each, not all rows each', async () => {
  const EVENTS = 10_000;
  const events = Array.from({ length: EVENTS }, (_, i) =>
    event({ userId: String(2_000_000 + i), data: { orders: i } }),
  );
  // One connection is used, so that all runs in one transaction and Postgres reports the rows that it read.
  const pool = createPool({ url: database.url, max: 1, applicationName: 'events-test' });
  await pool.query('begin');
  expect(await createEventStore(pool).accept(events)).toHaveLength(EVENTS);
  const [read] = await query<{ rows: number }>(pool, {
    text: 'select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::float8 as rows from pg_stat_xact_user_tables',
  });
  await pool.query('commit');
  await pool.end();
  expect(read?.rows).toBeGreaterThan(EVENTS);
  expect(read?.rows).toBeLessThan(EVENTS * 20);
});
