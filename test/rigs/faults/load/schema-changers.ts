/**
 * Applications that change what a feature query reads without a change of a row that a trigger sees: views, functions, columns,
 * partitions, and rows behind disabled triggers (rig/shared-rows.ts). Each change only raises values of users. Without event
 * triggers, the service detects such changes some seconds late, so this needs a superuser.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { monotonicNow } from '../history.ts';
import { floorSql, ITEMS_PER_ORDER, ORDERS, PARTS, PASSING_PART, stepSql } from '../rig/shared-rows.ts';
import { type Dice, type LoadParts, REFUSED_PAUSE_MS, repeat } from './load-parts.ts';
import { type Client, inTransaction, nextNumber, sharingUsers } from './shared-row-writers.ts';
import type { TableWriterOptions } from './table-writers.ts';

export interface SchemaChangerOptions extends Pick<TableWriterOptions, 'pool'> {
  readonly changesPerSecond: number;
}

/** Readers queue behind a change that waits for its locks. */
const LOCK_TIMEOUT = '250ms';
/** The most rows of a change of rows. */
const MOST_ITEMS = 5;

/** Of this many changes without triggers, one leaves triggers that do not fire in sessions that replay changes. */
const LEFT_EVERY = 4;
const TRIGGERS = ['insert', 'update', 'delete', 'truncate'].map((operation) => `tandem_watch_${operation}`);

/** Changes the schema, and returns the users whose values are then at least `number`; null for every user. */
type Change = (client: Client, number: number, dice: Dice) => Promise<readonly string[] | null>;

const changes: readonly Change[] = [
  replaceView,
  replaceFunction,
  rewriteColumn,
  changeDetached,
  attachOrDrop,
  changeBehindTriggers,
];

export function startSchemaChanger(parts: LoadParts, dice: Dice, options: SchemaChangerOptions): Promise<void> {
  const everyone = sharingUsers(parts.changing);

  async function write(): Promise<void> {
    const change = dice.oneOf(changes);
    const at = monotonicNow();
    const values = await inTransaction(options.pool, false, async (client) => {
      await client.query(`set local lock_timeout = '${LOCK_TIMEOUT}'`);
      const number = nextNumber();
      const users = (await change(client, number, dice)) ?? everyone;
      return users.map((userId) => ({ userId, value: number }));
    }).catch(() => null);
    parts.sink.write({ kind: 'table change', at, ended: monotonicNow(), changes: [], values: values ?? [] });
    if (values === null) await pause(REFUSED_PAUSE_MS);
  }

  return repeat(parts, options.changesPerSecond, write);
}

async function replaceView(client: Client, number: number): Promise<null> {
  await client.query(floorSql(number));
  return null;
}

async function replaceFunction(client: Client, number: number): Promise<null> {
  await client.query(stepSql(number));
  return null;
}

/** Writes new values of a column, as a migration may. */
async function rewriteColumn(client: Client, number: number): Promise<readonly string[]> {
  await lockTables(client);
  await client.query(`alter table items alter column number type int using greatest(number, ${number})`);
  return usersOf(client, 'select order_id from items');
}

/** Changes rows of a partition while it is detached. Its triggers stay, and would raise the users. */
async function changeDetached(client: Client, number: number, dice: Dice): Promise<readonly string[]> {
  const { table, bounds } = dice.oneOf(PARTS);
  await lockTables(client);
  await client.query(`alter table items detach partition ${table}`);
  const users = await raiseUnseen(client, table, number, dice);
  await client.query(`alter table items attach partition ${table} for values ${bounds}`);
  return users;
}

/** Attaches a partition with rows of existing orders, or drops it; then no value may fall. */
async function attachOrDrop(client: Client, number: number, dice: Dice): Promise<readonly string[] | null> {
  const { table, first, bounds } = PASSING_PART;
  const { rows } = await client.query(`select from pg_class where oid = to_regclass('${table}')`);
  const isAttached = rows.length > 0;
  // Feature statements lock the view first.
  if (isAttached) await client.query(floorSql(number));
  await lockTables(client);
  if (isAttached) {
    await client.query(`drop table ${table}`);
    return null;
  }
  await client.query(`create table ${table} (like items including all)`);
  await client.query({
    text: `insert into ${table} select $1 + n, 1 + ($2 + n) % ${ORDERS}, $3 from generate_series(0, $4) n`,
    values: [first, dice.below(ORDERS), number, dice.below(MOST_ITEMS)],
  });
  await client.query(`alter table items attach partition ${table} for values ${bounds}`);
  return usersOf(client, `select order_id from ${table}`);
}

async function changeBehindTriggers(client: Client, number: number, dice: Dice): Promise<readonly string[]> {
  await lockTables(client);
  return raiseUnseen(client, 'items', number, dice);
}

/** Locks the tables until the transaction ends, so that each row keeps its user. Feature statements lock them in this order, too. */
async function lockTables(client: Client): Promise<void> {
  await client.query('lock table items, orders in access exclusive mode');
}

/** Raises some rows without triggers. Mostly restores how the triggers of watches fire; workers restore it otherwise. */
async function raiseUnseen(client: Client, table: string, number: number, dice: Dice): Promise<readonly string[]> {
  await client.query(`alter table ${table} disable trigger user`);
  const users = await raiseSome(client, table, number, dice);
  await client.query(`alter table ${table} enable trigger user`);
  if (dice.below(LEFT_EVERY) > 0) {
    const enabled = TRIGGERS.map((name) => `enable always trigger ${name}`);
    await client.query(`alter table only ${table} ${enabled.join(', ')}`);
  }
  return users;
}

async function raiseSome(client: Client, table: string, number: number, dice: Dice): Promise<readonly string[]> {
  const first = dice.below(ORDERS * ITEMS_PER_ORDER);
  await client.query({
    text: `update ${table} set number = greatest(number, $1) where item_id in (
      select item_id from ${table} order by item_id < $2, item_id limit ${MOST_ITEMS})`,
    values: [number, first],
  });
  return usersOf(client, `select order_id from ${table} where number = ${number}`);
}

async function usersOf(client: Client, orders: string): Promise<readonly string[]> {
  const { rows } = await client.query<{ userId: string }>(
    `select distinct user_id::text as "userId" from orders where order_id in (${orders})`,
  );
  return rows.map(({ userId }) => userId);
}
