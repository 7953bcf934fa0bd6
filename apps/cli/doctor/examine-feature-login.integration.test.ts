/**
 * Tests with a login of feature queries that has more rights than it needs, on a real Postgres: doctor names the right.
 */
import { randomBytes } from 'node:crypto';
import { featureGrantsFor } from '@tandem/offline-store/features/feature-login';
import { createPool } from '@tandem/offline-store/sql/database';
import { cloneDatabase, type TestDatabase } from '@tandem/testing/databases';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { examineFeatureLogin } from './examine-feature-login.ts';

const role = `features_${randomBytes(4).toString('hex')}`;
let database: TestDatabase;
let pool: ReturnType<typeof createPool>;

beforeAll(async () => {
  database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  pool = createPool({ url: database.url, max: 1, applicationName: 'doctor-test' });
  await pool.query(`create role ${role} login password 'secret'; ${featureGrantsFor(role)}`);
});
afterAll(async () => {
  await pool.query(`drop owned by ${role} cascade; drop role ${role}`);
  await pool.end();
  await database.drop();
});

function examine() {
  const features = Object.assign(new URL(database.url), { username: role, password: 'secret' });
  return examineFeatureLogin({ url: database.url, featuresUrl: features.href });
}

test.each([
  { right: 'select on tandem.api_keys', excess: 'may read tandem.api_keys.id' },
  { right: 'pg_read_all_data', excess: 'is a member of pg_read_all_data' },
])('doctor warns of $right, and gives no warning without it', async ({ right, excess }) => {
  expect(await examine()).toMatchObject([{ level: 'ok', text: 'may read the tables of label and certificate' }]);
  await pool.query(`grant ${right} to ${role}`);
  expect(await examine()).toMatchObject([
    {
      level: 'warning',
      text: `the user of FEATURES_DATABASE_URL ${excess}`,
      remedy: expect.stringContaining('A login for feature queries'),
    },
  ]);
  await pool.query(`revoke ${right} from ${role}`);
});

test('doctor names dblink and postgres_fdw if feature queries may use them, even with only one login', async () => {
  const reaching = async (both = examine()) =>
    (await both).filter(({ level }) => level === 'warning').map(({ text }) => text.split(',')[0]);
  expect(await reaching()).toEqual([]);
  await pool.query(`create extension postgres_fdw; create server elsewhere foreign data wrapper postgres_fdw;
    create extension dblink`);
  expect(await reaching()).toEqual(['feature queries may use extension dblink']);
  const one = examineFeatureLogin({ url: database.url, featuresUrl: database.url });
  expect(await reaching(one)).toContain('feature queries may use extension dblink');
  await pool.query(`grant usage on foreign server elsewhere to ${role};
    create schema closed; alter extension dblink set schema closed`);
  expect(await reaching()).toEqual(['feature queries may use extension postgres_fdw']);
  await pool.query('drop extension dblink; drop extension postgres_fdw cascade');
  expect(await reaching()).toEqual([]);
});
