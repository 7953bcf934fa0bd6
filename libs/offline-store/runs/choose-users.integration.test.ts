import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { query } from '../sql/database.ts';
import { findLeastWeight } from './choose-users.ts';
import { createRunsWorld } from './runs.fixture.ts';
import { staleValues } from './stale-users.ts';

/** With this many users, the plan of a budget estimates from a sample which users it must read. */
const USERS = 50_000;
const BUDGET = { share: 0.5 };
const CHOSEN = 25_000;
const { database, store, renew, start, planWith, workAll } = await createRunsWorld({ users: USERS });
const { pool } = database;

beforeAll(async () => {
  await renew();
  await pool.query(`update tandem.predictors set policy = jsonb_set(policy, '{batch,chunkSize}', '20000')`);
  await workAll(await start());
  // Users with lower ids have more reads. Every tenth user has no event.
  await pool.query(`insert into tandem.read_demand (user_id, log_weight, context_version)
    select id::text, 1000 - id / 100.0, 0 from generate_series(1, 40000) id`);
  await pool.query(
    `insert into tandem.events (user_id) select id::text from generate_series(1, 40000) id where id % 10 > 0`,
  );
  await pool.query('analyze');
}, 120_000);
afterAll(() => database.drop());
beforeEach(() => pool.query('update tandem.predictions set context_version = 0'));

async function choose(): Promise<readonly number[]> {
  const run = await planWith(BUDGET);
  const rows = await query<{ id: number }>(pool, {
    text: 'select unnest(user_ids)::int as id from tandem.chunks where run_id = $1 order by 1',
    values: [run.id],
  });
  await store.cancel(run.id);
  return rows.map(({ id }) => id);
}

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);
const isChanged = (id: number) => id % 10 > 0;

const leastWeight = async () => {
  const run = await planWith(BUDGET);
  await store.cancel(run.id);
  const values = [...(await staleValues(pool, { run })), new Date(0)];
  return findLeastWeight(pool, values, CHOSEN, 30_000);
};

describe('a budget of many users', { timeout: 120_000 }, () => {
  test('chooses the most read of all outdated users', async () => {
    // The expected weight is that of the user with id 34,722, give or take 5 %.
    const weight = (await leastWeight()) ?? 0;
    expect(weight).toBeGreaterThan(1_000 - 400);
    expect(weight).toBeLessThan(1_000 - 290);
    expect(await choose()).toEqual(upTo(40_000).filter(isChanged).slice(0, CHOSEN));
  });

  test('reads all users if too few of the most read are outdated', async () => {
    await pool.query('update tandem.predictions set context_version = 1000000 where user_id::int <= 15000');
    expect(await leastWeight()).toBeNull();
    const outdated = upTo(40_000).filter((id) => id > 15_000 && isChanged(id));
    expect(await choose()).toEqual([...upTo(CHOSEN - outdated.length), ...outdated]);
  });
});
