import { createPool } from '@tandem/offline-store/database';
import { relayOutbox } from '@tandem/prediction/relay-outbox';
import { cloneDatabase, type TestDatabase } from '@tandem/testing/databases';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { expireEvents } from './expiry.ts';
import { createOutbox } from './outbox-store.ts';
import { adoptCustomers } from './worker-fixtures.ts';

let database: TestDatabase;
let pool: ReturnType<typeof createPool>;

beforeAll(async () => {
  database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  pool = createPool({ url: database.url, applicationName: 'worker-test' });
  await adoptCustomers(pool, { users: 10, chunkSize: 5 });
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

async function send(userId: string, data: object | null = null): Promise<void> {
  await pool.query({
    text: "insert into tandem.events (type, user_id, data) values ('order.paid', $1, $2)",
    values: [userId, data],
  });
}

async function count(table: string): Promise<number> {
  const { rows } = await pool.query<{ n: number }>(`select count(*)::int as n from tandem.${table}`);
  return rows[0]?.n ?? -1;
}

describe('the outbox', () => {
  it('gives events written in SQL to any number of relays, and is empty then', async () => {
    for (const userId of ['1', '2', '2', '3']) await send(userId);
    const raised: { userId: string; version: number; history: string }[] = [];
    const hints = { raise: async (some: readonly (typeof raised)[number][]) => void raised.push(...some) };
    await Promise.all([1, 2, 3].map(() => relayOutbox(createOutbox(pool), hints)));
    const newest = new Map(raised.map(({ userId, version }) => [userId, version]));
    expect(newest).toEqual(new Map([['1', 1], ['2', 2], ['3', 1]])); // biome-ignore format: a table
    const { rows } = await pool.query('select tandem.current_history() as history');
    expect(raised.every(({ history }) => history === rows[0]?.history)).toBe(true);
    expect(await count('outbox')).toBe(0);
  });

  it('counts the names that no predictor uses once, whoever relays', async () => {
    for (let i = 0; i < 5; i++) await send('4', { orders: 1, colour: 'red', ['n'.repeat(200)]: 1 });
    const hints = { raise: async () => undefined };
    await Promise.all([1, 2, 3].map(() => relayOutbox(createOutbox(pool), hints)));
    const { rows } = await pool.query('select name, events from tandem.unused_event_names');
    expect(rows).toEqual([{ name: 'colour', events: 5 }]);
  });

  it('takes no more names than a person can look through', async () => {
    await pool.query("insert into tandem.unused_event_names (name, events) select 'x' || n, 1 from generate_series(1, 999) n");
    await send('4', { colour: 1, shape: 2 });
    await relayOutbox(createOutbox(pool), { raise: async () => undefined });
    expect(await count('unused_event_names')).toBe(1_000);
  });
});

describe('expiry', () => {
  it('forgets events and their ids past the horizon, and no others', async () => {
    await send('5');
    const before = { events: await count('events'), ids: await count('event_ids') };
    expect(await expireEvents(pool)).toBe(0);
    for (const table of ['events', 'event_ids']) {
      await pool.query(`update tandem.${table} set accepted_at = accepted_at - interval '32 days' where user_id = '2'`);
    }
    const [one, other] = await Promise.all([expireEvents(pool), expireEvents(pool)]);
    expect((one ?? 0) + (other ?? 0)).toBe(4);
    expect(await count('events')).toBe(before.events - 2);
    expect(await count('event_ids')).toBe(before.ids - 2);
  });
});
