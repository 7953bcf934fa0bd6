/**
 * Labels of concurrently changed users. The feature query waits inside its statement until the test has changed a user
 * and inserted an event. If the versions came from a later statement, the label would promise the change, which the
 * features lack.
 */
import type { FeatureBatch } from '@tandem/freshness/features';
import type { ModelVersion } from '@tandem/freshness/predictor';
import type { FeatureSource } from '@tandem/prediction/scoring/feature-source';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { findModelVersion } from '../models/registry.ts';
import {
  createTestDatabase,
  createVisits,
  patientFeatures,
  type TestDatabase,
  VISITS_SQL,
  visitsPredictor,
} from '../store.fixture.ts';

/** The key of the advisory lock for which the feature query waits while the test has it. */
const HELD = 4711;

let database: TestDatabase;
let version: ModelVersion;
let source: FeatureSource;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  await createVisits(database.pool, 20);
  await database.pool.query(`create function wait_if_held() returns int language plpgsql as $$
    begin perform pg_advisory_xact_lock_shared(${HELD}); return 0; end $$`);
  const { predictors } = await adopt(database.pool, { predictors: [visitsPredictor()], actor: 'test' });
  const adopted = await findModelVersion(database.pool, predictors[0]?.modelVersionId ?? '');
  const sql = VISITS_SQL.replace('orders,', 'orders + wait_if_held() as orders,');
  version = { ...adopted, id: 'waiting', query: { ...adopted.query, sql } };
  source = patientFeatures(database.pool);
});
afterAll(() => database.drop());

/** Returns the label and the orders of a user. */
function readOf({ userIds, contextVersions, columns, values }: FeatureBatch, userId: string): unknown[] {
  const row = userIds.indexOf(userId);
  return [contextVersions[row], values[columns.findIndex(({ name }) => name === 'orders')]?.[row]];
}

/** Runs a read, and calls `change` while its statement waits. */
async function changedWithin<T>(read: () => Promise<T>, change: () => Promise<unknown>): Promise<T> {
  const holder = await database.pool.connect();
  try {
    await holder.query(`select pg_advisory_lock(${HELD})`);
    const reading = read();
    const waiting = `select from pg_locks where locktype = 'advisory' and objid = ${HELD} and not granted
      and database = (select oid from pg_database where datname = current_database())`;
    await expect.poll(async () => (await database.pool.query(waiting)).rowCount).toBeGreaterThan(0);
    await change();
    await holder.query(`select pg_advisory_unlock(${HELD})`);
    return await reading;
  } finally {
    holder.release(true);
  }
}

const READS: readonly [form: string, userId: string, read: (userId: string) => Promise<FeatureBatch>][] = [
  ['of a key range', '3', () => source.readRange(version, { from: null, to: null })],
  ['of named users of a chunk', '4', async (userId) => (await source.readNamed(version, [userId])).batch],
  ['of a live read', '5', async (userId) => (await source.readUsers(version, [userId])).batch],
  [
    'of a live read in packed form',
    '6',
    async (userId) => (await source.readUsers(version, [userId], 'with rows')).batch,
  ],
];

test.each(READS)(
  'features %s have the label of their own statement, if an event commits meanwhile',
  async (_form, userId, read) => {
    // The first read finds out the types of the packed form.
    expect(readOf(await read(userId), userId)).toEqual([0, Number(userId)]);
    const change = () =>
      database.pool.query(
        `with changed as (update visits set orders = orders + 1 where user_id = $1::bigint)
       insert into tandem.events (user_id) values ($1::text)`,
        [userId],
      );
    expect(readOf(await changedWithin(() => read(userId), change), userId)).toEqual([0, Number(userId)]);
    expect(readOf(await read(userId), userId)).toEqual([1, Number(userId) + 1]);
  },
);
