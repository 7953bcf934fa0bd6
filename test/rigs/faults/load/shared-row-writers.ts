/**
 * Applications that change items and move their orders between users (rig/shared-rows.ts), in crossing transactions of several
 * statements. Some moves are bulk changes. Some transactions run as a replication worker does, and ask for an asynchronous
 * commit. Some stay open for a while, so that their users are erased and readmitted meanwhile.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Pool } from '../../../e2e/counts.fixture.ts';
import { monotonicNow, type TableChange } from '../history.ts';
import { ITEMS_PER_ORDER, ORDERS } from '../rig/shared-rows.ts';
import { type Dice, type LoadParts, REFUSED_PAUSE_MS, repeat } from './load-parts.ts';
import { type TableWriterOptions, WATCHED_USERS } from './table-writers.ts';

export type Client = Pick<Pool, 'query'>;
export type Values = NonNullable<TableChange['values']>;

/** Of this many moves one is a bulk change. */
const BULK_EVERY = 40;
/** Of this many transactions one asks for less durability. */
const LOOSE_EVERY = 4;
/** Of this many transactions one stays open. */
const OPEN_EVERY = 10;
const LONGEST_OPEN_MS = 300;
/** A bulk move changes more users than a watch raises one by one. */
const BULK_ORDERS = 2 * WATCHED_USERS;
let last = 0;

/** Returns the number of the next change of all writers. A float32 represents it exactly. */
export function nextNumber(): number {
  return ++last;
}

/** Returns the users who share rows: those with an even number. Of the others, a label is never above the score. */
export function sharingUsers(changing: number): readonly string[] {
  return Array.from({ length: Math.max(ORDERS, Math.floor(changing / 2)) }, (_, i) => String(2 * i + 2));
}

export function startSharedRowWriter(parts: LoadParts, dice: Dice, options: TableWriterOptions): Promise<void> {
  const { pool, transactionsPerSecond, mostUsers } = options;
  const sharing = Math.floor(parts.changing / 2);
  const some = (most: number, of: number) => [
    ...new Set(Array.from({ length: 1 + dice.below(most) }, () => 1 + dice.below(of))),
  ];
  const { sink } = parts;
  const started = monotonicNow();
  const values = sharingUsers(parts.changing).map((userId) => ({ userId, value: 0 }));
  sink.write({ kind: 'table change', at: started, ended: started, changes: [], values } satisfies TableChange);

  async function write(): Promise<void> {
    const isMove = dice.below(3) === 0;
    const ids = some(mostUsers, isMove ? ORDERS : ORDERS * ITEMS_PER_ORDER);
    const isBulk = isMove && dice.below(BULK_EVERY) === 0;
    const isLoose = dice.below(LOOSE_EVERY) === 0;
    const openMs = dice.below(OPEN_EVERY) === 0 ? dice.below(LONGEST_OPEN_MS) : 0;
    const to = () => ({ first: dice.below(sharing), sharing });
    const at = monotonicNow();
    const changed = await inTransaction(pool, isLoose, async (client) => {
      const from = 1 + dice.below(ORDERS - BULK_ORDERS);
      if (isBulk) return moveOrders(client, [[from, from + BULK_ORDERS]], to);
      if (isMove)
        return moveOrders(
          client,
          ids.toSorted((a, b) => a - b).map((id) => [id, id]),
          to,
        );
      return changeItems(client, ids, () => pause(openMs));
    }).catch(() => null);
    sink.write({ kind: 'table change', at, ended: monotonicNow(), changes: [], values: changed ?? [] });
    if (changed === null) await pause(REFUSED_PAUSE_MS);
  }

  return repeat(parts, transactionsPerSecond, write);
}

/**
 * Rejects if the commit is not known to have succeeded.
 * @param isLoose whether the transaction replays changes, and asks for an asynchronous commit
 */
export async function inTransaction<T>(pool: Pool, isLoose: boolean, act: (client: Client) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    if (isLoose) await loosen(client);
    const values = await act(client);
    await client.query('commit');
    client.release();
    return values;
  } catch (error) {
    // The connection is closed, because its state is unknown: no other writer may get it.
    client.release(true);
    throw error;
  }
}

/** Only a superuser may set the replication role. */
async function loosen(client: Client): Promise<void> {
  await client.query(`select set_config('synchronous_commit', 'off', true), case current_setting('is_superuser')
    when 'on' then set_config('session_replication_role', 'replica', true) end`);
}

/**
 * Changes items, and notes their users at the commit of the transaction: the last statement locks the orders,
 * so that a move comes before it or waits.
 */
async function changeItems(client: Client, items: readonly number[], wait: () => Promise<void>): Promise<Values> {
  const ids = items.toSorted((a, b) => a - b);
  const number = nextNumber();
  for (const id of ids) {
    await client.query({
      text: 'update items set number = greatest(number, $2) where item_id = $1',
      values: [id, number],
    });
  }
  await wait();
  const { rows } = await client.query<{ userId: string }>({
    text: `select user_id::text as "userId" from orders where order_id in (select order_id from items
      where item_id = any ($1::bigint[])) order by order_id for share`,
    values: [ids],
  });
  return rows.map(({ userId }) => ({ userId, value: number }));
}

type Range = readonly [first: number, final: number];
type Targets = () => { readonly first: number; readonly sharing: number };

/** Moves orders, each range in one statement. The former users keep their values; an order that stays changes no user. */
async function moveOrders(client: Client, ranges: readonly Range[], to: Targets): Promise<Values> {
  const former: string[] = [];
  for (const [first, final] of ranges) {
    const target = to();
    const { rows } = await client.query<{ userId: string }>({
      text: `with former as (select * from orders where order_id between $1 and $2 order by order_id for update)
        update orders o set user_id = 2 * (($3 + o.order_id) % $4 + 1) from former f
        where f.order_id = o.order_id and o.user_id <> 2 * (($3 + o.order_id) % $4 + 1) returning f.user_id::text as "userId"`,
      values: [first, final, target.first, target.sharing],
    });
    former.push(...rows.map(({ userId }) => userId));
  }
  // The orders are locked, so that no item of them has a higher number in an earlier commit.
  const value = nextNumber();
  const userIds = [...new Set(former)];
  await client.query({
    text: `with former as (select user_id from counts where user_id = any ($1::bigint[]) order by user_id for update)
      update counts c set lowest = greatest(lowest, $2) from former where c.user_id = former.user_id`,
    values: [userIds, value],
  });
  return userIds.map((userId) => ({ userId, value }));
}
