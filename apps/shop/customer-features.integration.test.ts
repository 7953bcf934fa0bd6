/**
 * The features that a read takes from the view are those that the model was trained on: golden.csv holds 50 customers
 * as the training script saw them, many on the day of a purchase.
 */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadHistory } from './load-history.ts';
import { createShopDatabase, type ShopDatabase } from './shop-database.fixture.ts';
import tandem from './tandem.config.ts';

const featureQuery = tandem.predictors.repurchase?.features.sql;

interface GoldenRow {
  readonly customerId: string;
  readonly asOf: string;
  readonly features: readonly number[];
}

interface Golden {
  readonly names: readonly string[];
  readonly rows: readonly GoldenRow[];
}

async function readGolden(): Promise<Golden> {
  const text = await readFile(new URL('./model/golden.csv', import.meta.url), 'utf8');
  const [header = '', ...lines] = text.trimEnd().split('\n');
  return {
    names: header.split(',').slice(2, -1),
    rows: lines.map((line) => {
      const [customerId = '', asOf = '', ...values] = line.split(',');
      return { customerId, asOf, features: values.slice(0, -1).map(Number) };
    }),
  };
}

let database: ShopDatabase;
beforeAll(async () => {
  database = await createShopDatabase();
  // All of it: the view itself must leave out what lies after the clock's day.
  await loadHistory(database.pool, { until: '1998-06-30' });
});
afterAll(() => database.close());

async function moveClock(today: string): Promise<void> {
  await database.pool.query('update shop.clock set today = $1', [today]);
}

async function readFeatures(customerId: string): Promise<Record<string, unknown> | undefined> {
  const { rows } = await database.pool.query(`select * from (${featureQuery}) f where user_id = $1`, [customerId]);
  return rows[0];
}

test('the view gives the model exactly the features it was trained on', async () => {
  const { names, rows } = await readGolden();
  expect(rows).toHaveLength(50);
  for (const { customerId, asOf, features } of rows) {
    await moveClock(asOf);
    const row = await readFeatures(customerId);
    const served = names.map((name) => Math.fround(Number(row?.[name])));
    expect(served, `customer ${customerId} as of ${asOf}`).toEqual(features.map(Math.fround));
  }
});

test("the columns come in the model's order, each a number that float32 can be made from", async () => {
  const { names } = await readGolden();
  const { fields } = await database.pool.query(`${featureQuery} limit 0`);
  expect(fields.map(({ name }) => name)).toEqual(['user_id', ...names]);
  const [bigint, int, double] = [20, 23, 701];
  expect(fields[0]?.dataTypeID).toBe(bigint);
  for (const { name, dataTypeID } of fields.slice(1)) expect([int, double], name).toContain(dataTypeID);
});

test('a customer has no row before the first purchase', async () => {
  // Customer 2357 first bought on 1997-03-25.
  await moveClock('1997-03-24');
  expect(await readFeatures('2357')).toBeUndefined();
  await moveClock('1997-03-25');
  expect(await readFeatures('2357')).toMatchObject({ recency_days: 0, order_count: 1 });
});

describe('a predicate on the user id reaches the index below the aggregation', () => {
  test.each([
    ['one user', 'user_id = 42'],
    ['many users', `user_id = any('{42,7,2001}'::bigint[])`],
    ['a chunk', 'user_id > 500 and user_id <= 1000'],
  ])('%s', async (_, predicate) => {
    const { rows } = await database.pool.query<{ 'QUERY PLAN': string }>(
      `explain select * from (${featureQuery}) f where ${predicate}`,
    );
    const plan = rows.map((line) => line['QUERY PLAN']).join('\n');
    expect(plan).toMatch(/Scan (using|on) transactions_customer_day/);
    expect(plan).toMatch(/Index Cond: .*customer_id/);
    expect(plan).not.toContain('Seq Scan on transactions');
  });
});
