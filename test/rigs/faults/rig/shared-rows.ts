/**
 * Tables whose rows users share. An item belongs to the user of its order, which moves between users. The value of a user is the
 * highest of the user's items, and never below `lowest`. Each change takes a higher number than all earlier ones, and the former
 * user of a moved order gets a higher `lowest`, so that the value of a user only rises. A view and a function hold values below
 * which no user is: changes of the schema raise them (load/schema-changers.ts).
 */
import { watchSource } from '@tandem/offline-store/sources/watch-source';
import { COUNT, type Pool } from '../../../e2e/counts.fixture.ts';
import { WATCHED_USERS } from '../load/table-writers.ts';

/** Only users with an even number have orders. */
export const ORDERS = 100;
export const ITEMS_PER_ORDER = 3;

/** The partitions of `items`. Items of faults have negative ids. */
export const PARTS = [
  { table: 'items_1', bounds: 'from (minvalue) to (101)' },
  { table: 'items_2', bounds: 'from (101) to (201)' },
  { table: 'items_3', bounds: 'from (201) to (301)' },
] as const;
/** A partition that comes and goes. */
export const PASSING_PART = { table: 'passing_items', first: 10_001, bounds: 'from (10001) to (10101)' } as const;

/** The value of a user of the table `counts`. */
export const SHARED_VALUE = `greatest(counts.lowest, (select value from shared_floor), shared_step(), coalesce((select max(i.number) from items i join orders o using (order_id)
  where o.user_id = counts.user_id), 0))::float8`;

export async function createSharedRows(pool: Pool): Promise<void> {
  await pool.query(`
    alter table counts add column lowest int not null default 0;
    create table orders (order_id bigint primary key, user_id bigint not null);
    create index on orders (user_id);
    create table items (item_id bigint primary key, order_id bigint not null references orders, number int not null)
      partition by range (item_id);
    ${PARTS.map(({ table, bounds }) => `create table ${table} partition of items for values ${bounds};`).join(' ')}
    create index on items (order_id);
    insert into orders select n, 2 * n from generate_series(1, ${ORDERS}) n;
    insert into items select n, 1 + (n - 1) / ${ITEMS_PER_ORDER}, 0 from generate_series(1, ${ORDERS * ITEMS_PER_ORDER}) n;
    ${floorSql(0)};
    ${stepSql(0)};
    analyze counts, orders, items`);
}

/** Returns SQL of the view whose value is the lowest of all users. */
export function floorSql(value: number): string {
  return `create or replace view shared_floor as select ${value} as value`;
}

/** Returns SQL of the function that gives the lowest value of all users. */
export function stepSql(value: number): string {
  return `create or replace function shared_step() returns int stable language sql as 'select ${value}'`;
}

export async function watchSharedRows(pool: Pool): Promise<void> {
  const watch = { columns: null, predictors: [COUNT], maxUsers: WATCHED_USERS, actor: 'rig' };
  await watchSource(pool, { ...watch, table: 'orders', key: 'user_id' });
  const key = '(select o.user_id from public.orders o where o.order_id = changed.order_id)';
  await watchSource(pool, { ...watch, table: 'items', key });
}
