import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createPool } from '../sql/database.ts';
import { createTestDatabase, type TestDatabase } from '../store.fixture.ts';
import { findQueryTables } from './watchable-table.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  await database.pool.query(`
    create table customers (id bigint primary key, age int, country text, note text);
    create table "Odd orders" (customer_id bigint, amount float8);
    create view spent as select customer_id, sum(amount) as amount from "Odd orders" group by 1;
    create view spent_more as select * from spent where amount > 1;
    create materialized view countries as select distinct country from customers;
    create function shade(bigint) returns int language sql as 'select 1'`);
});
afterAll(() => database.drop());

test('a query’s tables are found beneath views of views, in sub-selects and conditions, with the columns that are read', async () => {
  const sql = `select c.id as user_id, c.age, 1 as twice, 2 as twice, shade(c.id) as shade
    from customers c left join spent_more s on s.customer_id = c.id
    where exists (select from countries k where k.country = c.country) -- a comment`;
  const { tables, functions } = await findQueryTables(database.pool, sql);
  expect(tables).toMatchObject([
    { name: 'public."Odd orders"', kind: 'table', columns: ['amount', 'customer_id'] },
    { name: 'public.countries', kind: 'materialized view', columns: ['country'] },
    { name: 'public.customers', kind: 'table', columns: ['age', 'country', 'id'] },
  ]);
  const { rows: known } = await database.pool.query(`select 'customers'::regclass::oid::int8 as oid`);
  expect(tables[2]?.oid).toBe(known[0]?.oid);
  expect(functions).toEqual(['public.shade']);
  const { rows } = await database.pool.query(`select from pg_class where relname = 'tandem_feature_query'`);
  expect(rows).toEqual([]);
});

test('an invalid query is rejected with the message of Postgres', async () => {
  await expect(findQueryTables(database.pool, 'select id as user_id from nothing')).rejects.toThrow(
    '"nothing" does not exist',
  );
});

test('a text of several statements is rejected, and nothing is left behind', async () => {
  await expect(
    findQueryTables(database.pool, 'select 1 as user_id) f; create table left (n int); --'),
  ).rejects.toThrow();
  await expect(
    findQueryTables(database.pool, 'select id as user_id from customers) f; drop table customers; select (1'),
  ).rejects.toThrow('multiple commands');
  const { rows } = await database.pool.query(`select to_regclass('customers') is not null as kept`);
  expect(rows).toEqual([{ kept: true }]);
});

test('the login of feature queries can find the tables with only the right to read them', async () => {
  const suffix = randomBytes(4).toString('hex');
  const reader = `reader_${suffix}`;
  await database.pool.query(`create role ${reader} login password 'p';
    alter role ${reader} set default_transaction_read_only = on; grant select on customers to ${reader}`);
  const url = new URL(database.url);
  url.username = reader;
  url.password = 'p';
  const pool = createPool({ url: url.href, max: 1, applicationName: 'reader' });
  try {
    const { tables } = await findQueryTables(pool, 'select id as user_id, age from customers');
    expect(tables).toMatchObject([{ name: 'public.customers' }]);
  } finally {
    await pool.end();
    await database.pool.query(`revoke all on customers from ${reader}; drop role ${reader}`);
  }
});
