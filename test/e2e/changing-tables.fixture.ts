/**
 * Watched tables whose rows change without events, and readers that judge each answer. The score of the predictor `count`
 * is the number of a user's changes in all tables, so a fresh answer must show at least the changes that were committed
 * before its read was sent.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { adopt } from '@tandem/offline-store/adopt';
import { ProblemError } from '@tandem/transport/client-errors';
import type pg from 'pg';
import { COUNT, countPredictor, type Pool } from './counts.fixture.ts';
import type { Api } from './deployment.fixture.ts';

/** The tables that the writers change. */
const TABLES = ['orders', 'items', 'notes'] as const;
/** The options of `tandem watch` for each table. The look-up of `notes` has no foreign key. */
export const WATCHES = {
  orders: ['--key', 'user_id'],
  items: ['--key', '(select o.user_id from public.orders o where o.id = changed.order_id)'],
  notes: ['--key', '(select o.user_id from public.orders o where o.id = changed.order_id)'],
  prices: ['--everyone'],
} as const;
export type Table = keyof typeof WATCHES;

/**
 * The users that the writers change. A transaction changes one row of each of its users, in the order of their ids as
 * texts: the watches of 0.2.0 raise versions in each statement, and would add deadlocks to other orders.
 */
const [FIRST, LAST] = [101, 140];
const READERS = 3;
const WRITERS = 3;
const ORDER_OF_USER = 1_000_000;
/** The pause between two transactions or reads, so that the processes under test get the CPU. */
const REST_MS = 5;
/** The longest that a writer's transaction stays open between two statements. */
const OPEN_MS = 100;
const MANY_VIOLATIONS = 20;

/** Creates the tables for users 1 to `users`, and adopts the predictor over them. */
export async function createChangingTables(pool: Pool, users: number): Promise<void> {
  await pool.query(`
    create table orders (id bigint primary key, user_id bigint not null unique, changes int not null default 0);
    create table items (order_id bigint references orders, changes int not null default 0);
    create table notes (like items including defaults);
    create table prices (changes int not null);
    create index on items (order_id);
    create index on notes (order_id);
    insert into orders select ${ORDER_OF_USER} + n, n from generate_series(1, ${users}) n;
    insert into items select id from orders;
    insert into notes select id from orders;
    insert into prices values (0);
    create view counts as select o.user_id, 0::float8 as load, (o.changes + p.changes
        + coalesce((select sum(i.changes) from items i where i.order_id = o.id), 0)
        + coalesce((select sum(n.changes) from notes n where n.order_id = o.id), 0))::int as changes
      from orders o cross join prices p;
    analyze`);
  const predictor = countPredictor({ freshness: { liveTimeoutMs: 20_000 } });
  await adopt(pool, { actor: 'test', predictors: [predictor] });
}

/** Changes a row of the user, or for `prices` the row of every user. */
export async function changeRow(db: Pool | pg.PoolClient, table: Table, user: number): Promise<void> {
  if (table === 'prices') await db.query('update prices set changes = changes + 1');
  else if (table === 'orders') await db.query('update orders set changes = changes + 1 where user_id = $1', [user]);
  else await db.query(`update ${table} set changes = changes + 1 where order_id = $1`, [ORDER_OF_USER + user]);
}

interface Seen {
  fresh: number;
  /** The number of fresh answers that were stored before. */
  stored: number;
  others: number;
}

export interface Changing {
  /** The answers of each release. */
  readonly seen: ReadonlyMap<string, Readonly<Seen>>;
  readonly violations: readonly string[];
  /** The number of transactions that the writers have committed. */
  readonly committed: number;
  /** Sets the APIs that later reads ask, each with its release. */
  ask(apis: readonly (readonly [release: string, api: Api])[]): void;
  /** Requires that later reads show further changes of the user, or of every user. */
  demand(user: number | 'everyone', changes: number): void;
  /** Lets all readers and writers finish. Rejects if one of them has failed. */
  stop(): Promise<void>;
}

export function startChanging(pool: Pool, users: number, random: () => number): Changing {
  const seen = new Map<string, Seen>();
  const violations: string[] = [];
  const demands = new Map<number | 'everyone', number>();
  let apis: readonly (readonly [string, Api])[] = [];
  let committed = 0;
  let isStopping = false;

  const below = (n: number) => Math.floor(random() * n);
  const anyChanging = () => FIRST + below(LAST - FIRST + 1);
  const demanded = (user: number) => (demands.get(user) ?? 0) + (demands.get('everyone') ?? 0);
  const note = (violation: string) => {
    if (violations.length < MANY_VIOLATIONS) violations.push(violation);
  };

  function demand(user: number | 'everyone', changes: number): void {
    demands.set(user, (demands.get(user) ?? 0) + changes);
  }

  async function read(): Promise<void> {
    const [release, api] = apis[below(apis.length)] ?? [];
    if (release === undefined || api === undefined) return;
    const counts = seen.get(release) ?? { fresh: 0, stored: 0, others: 0 };
    seen.set(release, counts);
    const user = random() < 0.7 ? anyChanging() : 1 + below(users);
    const least = demanded(user);
    try {
      const { answer } = await api.client.predict(COUNT, String(user));
      const isFresh = answer.source === 'batch' || answer.source === 'live';
      counts[isFresh ? 'fresh' : 'others']++;
      if (isFresh && answer.reason === 'fresh') counts.stored++;
      if (isFresh && Number(answer.prediction.score) < least)
        note(`${release}: fresh, but older than ${least} changes: ${JSON.stringify(answer)}`);
    } catch (error) {
      counts.others++;
      if (!(error instanceof ProblemError && error.status === 503)) note(`${release}: ${error}`);
    }
  }

  async function write(): Promise<void> {
    const chosen = [...new Set(Array.from({ length: 1 + below(3) }, anyChanging))].sort((a, b) => a - b);
    const isKept = random() < 0.9;
    const client = await pool.connect();
    try {
      await client.query('begin');
      for (const user of chosen) {
        const table = TABLES[below(TABLES.length)] ?? 'orders';
        await changeRow(client, table, user);
        if (random() < 0.2) await pause(below(OPEN_MS));
      }
      await client.query(isKept ? 'commit' : 'rollback');
      if (isKept) for (const user of chosen) demand(user, 1);
      committed++;
    } catch (error) {
      note(`a writer failed: ${error} ${JSON.stringify(error)}`);
      await client.query('rollback').catch(() => {});
    } finally {
      client.release();
    }
  }

  const repeat = async (act: () => Promise<void>) => {
    while (!isStopping) {
      await act();
      await pause(REST_MS);
    }
  };
  const actors = [
    ...Array.from({ length: READERS }, () => repeat(read)),
    ...Array.from({ length: WRITERS }, () => repeat(write)),
  ];
  const done = Promise.all(actors);
  done.catch(() => {});
  return {
    seen,
    violations,
    get committed() {
      return committed;
    },
    ask(next) {
      apis = next;
    },
    demand,
    async stop() {
      isStopping = true;
      await done;
    },
  };
}
