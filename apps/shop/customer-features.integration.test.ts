/**
 * Both queries must return the features on which the models were trained. golden.csv has 50 customers as the training
 * script saw them, many on the day of a purchase.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadHistory } from './load-history.ts';
import { readQuery } from './rollouts/versions.ts';
import { createShopDatabase, type ShopDatabase } from './shop-database.fixture.ts';
import { readGolden } from './shop-models.fixture.ts';

const queries = {
  'the config': { sql: await readQuery({ name: 'repurchase', note: '' }), columns: 12 },
  'fourteen.sql': { sql: await readQuery({ name: 'fourteen', note: '', query: 'fourteen.sql' }), columns: 14 },
};

let database: ShopDatabase;
beforeAll(async () => {
  database = await createShopDatabase();
  // Loads the whole history, because the view must exclude purchases after the day of the clock.
  await loadHistory(database.pool, { until: '1998-06-30' });
});
afterAll(() => database.close());

async function moveClock(today: string): Promise<void> {
  await database.pool.query('update shop.clock set today = $1', [today]);
}

async function readFeatures(
  customerId: string,
  sql = queries['the config'].sql,
): Promise<Record<string, unknown> | undefined> {
  const { rows } = await database.pool.query(`select * from (${sql}) f where user_id = $1`, [customerId]);
  return rows[0];
}

describe.each(Object.entries(queries))('by %s', (_, { sql, columns }) => {
  test('the view returns exactly the features on which the model was trained', async () => {
    const { names, rows } = await readGolden();
    expect(rows).toHaveLength(50);
    for (const { customerId, asOf, features } of rows) {
      await moveClock(asOf);
      const row = await readFeatures(customerId, sql);
      const served = names.slice(0, columns).map((name) => Math.fround(Number(row?.[name])));
      expect(served, `customer ${customerId} as of ${asOf}`).toEqual(features.slice(0, columns).map(Math.fround));
    }
  });

  test('the columns are in the order of the model, and each is a number that converts to float32', async () => {
    const { names } = await readGolden();
    const { fields } = await database.pool.query(`select * from (${sql}) f limit 0`);
    expect(fields.map(({ name }) => name)).toEqual(['user_id', ...names.slice(0, columns)]);
    const [bigint, int, double] = [20, 23, 701];
    expect(fields[0]?.dataTypeID).toBe(bigint);
    for (const { name, dataTypeID } of fields.slice(1)) expect([int, double], name).toContain(dataTypeID);
  });

  test.each([
    ['one user', 'user_id = 42'],
    ['many users', `user_id = any('{42,7,2001}'::bigint[])`],
    ['a chunk', 'user_id > 500 and user_id <= 1000'],
  ])('the predicate of %s uses the index below the aggregation', async (_, predicate) => {
    const { rows } = await database.pool.query<{ 'QUERY PLAN': string }>(
      `explain select * from (${sql}) f where ${predicate}`,
    );
    const plan = rows.map((line) => line['QUERY PLAN']).join('\n');
    expect(plan).toMatch(/Scan (using|on) transactions_customer_day/);
    expect(plan).toMatch(/Index Cond: .*customer_id/);
    expect(plan).not.toContain('Seq Scan on transactions');
  });
});

test('a customer has no row before the first purchase', async () => {
  // Customer 2357 first bought on 1997-03-25.
  await moveClock('1997-03-24');
  expect(await readFeatures('2357')).toBeUndefined();
  await moveClock('1997-03-25');
  expect(await readFeatures('2357')).toMatchObject({ recency_days: 0, order_count: 1 });
});
