/** Makes a purchase: the shop inserts the row into its database, and sends an event to Tandem. */
import type { Client } from '@tandem/client/create-client';
import type { EventResult } from '@tandem/client/wire';
import type { Pool } from 'pg';
import type { Transaction } from './read-transactions.ts';

/**
 * Makes the purchase. The row is committed before the event is sent, so a read after the event finds it in the feature
 * view.
 */
export async function buy(db: Pool, tandem: Client, purchase: Transaction): Promise<EventResult> {
  const id = `transaction-${await insertPurchase(db, purchase)}-${crypto.randomUUID()}`;
  const [result] = await tandem.sendEvents([{ subject: purchase.customerId, type: 'order.placed', id }]);
  if (!result) throw new Error(`the event ${id} was sent, but not acknowledged`);
  return result;
}

/** Inserts the row of a purchase without an event. Returns its id. */
export async function insertPurchase(db: Pool, { customerId, day, quantity, amount }: Transaction) {
  const { rows } = await db.query<{ id: string }>(
    'insert into shop.transactions (customer_id, day, quantity, amount) values ($1, $2, $3, $4) returning id',
    [customerId, day, quantity, amount],
  );
  return rows[0]?.id;
}

/** Returns the shop's current day. */
export async function readToday(db: Pool): Promise<string> {
  const { rows } = await db.query<{ today: string }>(`select to_char(today, 'YYYY-MM-DD') as today from shop.clock`);
  if (!rows[0]) throw new Error('shop.clock is empty: start the example with `npm start` first');
  return rows[0].today;
}

export async function setToday(db: Pool, day: string): Promise<void> {
  await db.query('update shop.clock set today = $1', [day]);
}
