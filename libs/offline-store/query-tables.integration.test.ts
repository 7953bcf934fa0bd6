import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { findQueryTables } from './query-tables.ts';
import { createTestDatabase, type TestDatabase } from './store.fixture.ts';

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

test('names tables beneath views of views, in sub-selects and conditions, with the columns that are read', async () => {
  const sql = `select c.id as user_id, c.age, 1 as twice, 2 as twice, shade(c.id) as shade
    from customers c left join spent_more s on s.customer_id = c.id
    where exists (select from countries k where k.country = c.country) -- a comment`;
  expect(await findQueryTables(database.pool, sql)).toEqual({
    tables: [
      { name: 'public."Odd orders"', kind: 'table', columns: ['amount', 'customer_id'] },
      { name: 'public.countries', kind: 'materialized view', columns: ['country'] },
      { name: 'public.customers', kind: 'table', columns: ['age', 'country', 'id'] },
    ],
    functions: ['public.shade'],
  });
  const { rows } = await database.pool.query(`select from pg_class where relname = 'tandem_feature_query'`);
  expect(rows).toEqual([]);
});

test('rejects with what Postgres says of a query that it does not take', async () => {
  await expect(findQueryTables(database.pool, 'select id as user_id from nothing')).rejects.toThrow(
    '"nothing" does not exist',
  );
});
