/**
 * Loads the history of the shop into a database: its schema, the purchases up to a day, and a clock that is set to that
 * day. Later days are left for a replay.
 */
import { readFile } from 'node:fs/promises';
import type { ClientBase, Pool } from 'pg';
import { readTransactions, type Transaction } from './read-transactions.ts';

/** The last day before the replay of the example. The model has seen no later purchase. */
export const replayEve = '1997-12-31';

/**
 * Creates the schema, and loads the history up to `until` if no purchase is stored yet. A repeated or concurrent call
 * does nothing, because it is one transaction under a lock. Returns the number of purchases that it added, and the
 * shop's current day.
 */
export async function loadHistory(db: Pool, { until }: { readonly until: string } = { until: replayEve }) {
  const file = new URL('./schema.sql', import.meta.url);
  const [schema, history] = await Promise.all([readFile(file, 'utf8'), readTransactions()]);
  const past = history.filter(({ day }) => day <= until);
  return inTransaction(db, async (client) => {
    await client.query(`select pg_advisory_xact_lock(hashtext('shop.load_history'))`);
    await client.query(schema);
    const loaded = (await isEmpty(client)) ? await insertTransactions(client, past) : 0;
    return { loaded, today: await startClock(client, until) };
  });
}

/** Resets the shop to the end of a day, and undoes changes of replays and stories. */
export async function resetHistory(db: Pool, until: string): Promise<void> {
  await db.query('truncate shop.transactions, shop.clock');
  await loadHistory(db, { until });
}

async function isEmpty(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query('select 1 from shop.transactions limit 1');
  return rows.length === 0;
}

async function insertTransactions(client: ClientBase, transactions: readonly Transaction[]): Promise<number> {
  await client.query(
    `insert into shop.transactions (customer_id, day, quantity, amount)
     select * from unnest($1::bigint[], $2::date[], $3::int[], $4::numeric[])`,
    [
      transactions.map(({ customerId }) => customerId),
      transactions.map(({ day }) => day),
      transactions.map(({ quantity }) => quantity),
      transactions.map(({ amount }) => amount),
    ],
  );
  // The first run follows at once, before autovacuum would collect statistics.
  await client.query('analyze shop.transactions');
  return transactions.length;
}

/** Sets the shop's clock to a day. An existing clock keeps its day, because a replay may have advanced it. */
async function startClock(client: ClientBase, until: string): Promise<string> {
  await client.query('insert into shop.clock (today) values ($1) on conflict do nothing', [until]);
  const { rows } = await client.query<{ today: string }>(
    `select to_char(today, 'YYYY-MM-DD') as today from shop.clock`,
  );
  return rows[0]?.today ?? until;
}

async function inTransaction<T>(db: Pool, work: (client: ClientBase) => Promise<T>): Promise<T> {
  const client = await db.connect();
  try {
    await client.query('begin');
    const result = await work(client);
    await client.query('commit');
    return result;
  } catch (error) {
    // After a lost connection there is nothing to roll back. The first error is reported.
    await client.query('rollback').catch(() => undefined);
    throw error;
  } finally {
    client.release();
  }
}
