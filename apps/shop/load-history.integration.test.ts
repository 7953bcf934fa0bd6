import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadHistory } from './load-history.ts';
import { readToday } from './purchase.ts';
import { createShopDatabase, openPool, type ShopDatabase } from './shop-database.fixture.ts';

let database: ShopDatabase;
beforeEach(async () => {
  database = await createShopDatabase();
});
afterEach(() => database.close());

async function count(): Promise<{ rows: number; customers: number; last: string }> {
  const { rows } = await database.pool.query<{ rows: number; customers: number; last: string }>(
    `select count(*)::int as rows, count(distinct customer_id)::int as customers, max(day)::text as last
     from shop.transactions`,
  );
  if (rows[0] === undefined) throw new Error('count(*) returned no row');
  return rows[0];
}

test('the history is loaded completely, and the clock is set to its last day', async () => {
  expect(await loadHistory(database.pool)).toEqual({ loaded: 5728, today: '1997-12-31' });
  expect(await count()).toEqual({ rows: 5728, customers: 2357, last: '1997-12-31' });
});

test('with an earlier day, later purchases are left out', async () => {
  expect(await loadHistory(database.pool, { until: '1997-01-01' })).toMatchObject({ today: '1997-01-01' });
  expect((await count()).last).toBe('1997-01-01');
});

test('loading again changes neither the purchases nor an advanced clock', async () => {
  await loadHistory(database.pool);
  await database.pool.query(`update shop.clock set today = '1998-02-03'`);
  expect(await loadHistory(database.pool)).toEqual({ loaded: 0, today: '1998-02-03' });
  expect((await count()).rows).toBe(5728);
});

test('two concurrent loads store the history once', async () => {
  const results = await Promise.all([loadHistory(database.pool), loadHistory(database.pool)]);
  expect(results.map(({ loaded }) => loaded).sort()).toEqual([0, 5728]);
  expect((await count()).rows).toBe(5728);
});

test('a load that fails leaves nothing behind', async () => {
  await expect(loadHistory(database.pool, { until: '1997-13-45' })).rejects.toThrow(/1997-13-45/);
  const { rows } = await database.pool.query(`select to_regnamespace('shop') as schema`);
  expect(rows).toEqual([{ schema: null }]);
});

test('the clock is read correctly if the database formats dates in German', async () => {
  await loadHistory(database.pool);
  await database.pool.query(
    `do $$ begin execute format('alter database %I set datestyle = German', current_database()); end $$`,
  );
  const fresh = openPool(database.pool.options);
  expect(await loadHistory(fresh)).toEqual({ loaded: 0, today: '1997-12-31' });
  expect(await readToday(fresh)).toBe('1997-12-31');
  await fresh.end();
});
