/**
 * A separate login for feature statements, on a real Postgres: with the grants all statements run, and a missing grant
 * is named.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { STABLE } from '@tandem/freshness/rollout';
import { planNow } from '@tandem/prediction/runs/steps.fixture';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { fillGeneration } from '../generations/generation-reports-copy.fixture.ts';
import { joinGenerations } from '../generations/generation-reports-copy.ts';
import { findModelVersion } from '../models/registry.ts';
import { createRunStore } from '../runs/run-store.ts';
import { createPool } from '../sql/database.ts';
import {
  createTestDatabase,
  createVisits,
  patientFeatures,
  type TestDatabase,
  visitsPredictor,
} from '../store.fixture.ts';
import { describeQuery, explainRange, explainUser, findDuplicateKeys } from './feature-check.ts';
import { assertFeatureLogin, createFeaturePool, featureGrantsFor, findExcess } from './feature-login.ts';
import { findProvenance } from './provenance.ts';

const role = `features_${randomBytes(4).toString('hex')}`;
const USERS = 250;
let database: TestDatabase;
let features: ReturnType<typeof createPool>;

beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  await database.pool.query(`create role ${role} login password 'secret'`);
  await createVisits(database.pool, USERS);
  await database.pool.query(`grant select on visits to ${role}; create table secrets as select 1 as secret`);
  features = poolOf(database.url);
});
afterAll(async () => {
  await features.end();
  await database.pool.query(`drop owned by ${role} cascade`);
  await database.pool.query(`drop role ${role}`);
  await database.drop();
});

function poolOf(databaseUrl: string) {
  const url = new URL(databaseUrl);
  url.username = role;
  url.password = 'secret';
  return createPool({ url: url.href, max: 2, applicationName: 'feature-login-test' });
}

test('the error of a login without grants names the first missing grant, and the statements that give all grants', async () => {
  await expect(assertFeatureLogin(database.pool, features)).rejects.toMatchObject({
    code: 'config_invalid',
    field: 'FEATURES_DATABASE_URL',
    message: `User ${role} of FEATURES_DATABASE_URL may not use schema tandem.`,
    remedy: expect.stringContaining(featureGrantsFor(role)),
  });
});

test.each([
  { names: 'FEATURES_DATABASE_URL', query: '?application_name=other' },
  { names: 'DATABASE_URL', query: '' },
])('a setting that Postgres rejects is reported with $names', async ({ names, query }) => {
  const { url } = database;
  const refused = createFeaturePool(
    { url, featuresUrl: `${url}${query}` },
    { applicationName: 'refused', lockTimeoutMs: -1 },
  );
  await expect(refused.query('select 1')).rejects.toMatchObject({ code: 'config_invalid', field: names });
  await refused.end();
});

describe('with the grants', () => {
  beforeAll(() => database.pool.query(featureGrantsFor(role)));

  test('a login lacks nothing; a column that is revoked again is named', async () => {
    await assertFeatureLogin(database.pool, features);
    await database.pool.query(`revoke select (touched) on tandem.user_contexts from ${role}`);
    await expect(assertFeatureLogin(database.pool, features)).rejects.toThrow(
      'may not read tandem.user_contexts.touched',
    );
    await database.pool.query(featureGrantsFor(role));
    await assertFeatureLogin(database.pool, features);
  });

  test.each([
    ['select on tandem.api_keys', 'may read tandem.api_keys.id'],
    ['select (data) on tandem.events', 'may read tandem.events.data'],
    ['select (updated_at) on tandem.user_contexts', 'may read tandem.user_contexts.updated_at'],
    ['insert on visits', 'may write public.visits'],
  ])('a grant of %s is named: %s', async (right, excess) => {
    expect(await findExcess(features)).toBeNull();
    await database.pool.query(`grant ${right} to ${role}`);
    expect(await findExcess(features)).toBe(excess);
    await database.pool.query(`revoke ${right} from ${role}`);
    expect(await findExcess(features)).toBeNull();
  });

  test.each([
    ...['pg_read_all_data', 'pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files'],
    'pg_execute_server_program',
  ])('membership of %s is named', async (predefined) => {
    await database.pool.query(`grant ${predefined} to ${role}`);
    expect(await findExcess(features)).toBe(`is a member of ${predefined}`);
    await database.pool.query(`revoke ${predefined} from ${role}`);
    expect(await findExcess(features)).toBeNull();
  });

  test('a right of a role that the login must first assume is named, too', async () => {
    await database.pool.query(`alter role ${role} noinherit; create role ${role}_more in role pg_read_all_data;
      grant ${role}_more to ${role}`);
    expect(await findExcess(features)).toBe('is a member of pg_read_all_data');
    await database.pool.query(`drop role ${role}_more; alter role ${role} inherit`);
    expect(await findExcess(features)).toBeNull();
  });

  test('a right of the login beyond reading is named', async () => {
    expect(await findExcess(features)).toBeNull();
    await database.pool.query(`grant update on tandem.settings to ${role}`);
    expect(await findExcess(features)).toBe('may write tandem.settings');
    await database.pool.query(`revoke update on tandem.settings from ${role}`);
    expect(await findExcess(database.pool)).toBe('is a superuser');
  });

  test('a login to another database of the same server is rejected', async () => {
    const other = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
    const there = poolOf(other.url);
    try {
      await expect(assertFeatureLogin(database.pool, there)).rejects.toMatchObject({
        message: expect.stringContaining('FEATURES_DATABASE_URL names another database than DATABASE_URL'),
        remedy: expect.stringContaining('set it to the server and the database of DATABASE_URL'),
      });
    } finally {
      await there.end();
      await other.drop();
    }
  });

  test('every statement that contains a feature query runs', async () => {
    const { pool } = database;
    const { predictors } = await adopt(pool, { predictors: [visitsPredictor()], actor: 'test' });
    const version = await findModelVersion(pool, predictors[0]?.modelVersionId ?? '');
    const source = patientFeatures(features);
    // The second read is packed.
    for (let reads = 0; reads < 2; reads++) {
      const { batch, certificate } = await source.readUsers(version, ['3', '5'], 'with rows');
      expect(batch.userIds).toHaveLength(2);
      expect(certificate.assignments('visits')?.stable.arm).toBe(STABLE);
    }
    expect((await source.readRange(version, { from: null, to: null })).userIds).toHaveLength(USERS);
    expect(await describeQuery(features, version.query.sql)).toHaveLength(6);
    expect((await explainUser(features, version)).plan).toContain('visits');
    expect((await explainRange(features, version)).plan).toContain('visits');
    expect(await findDuplicateKeys(features, version.query.sql, 5)).toEqual([]);
    expect((await findProvenance(features, version, '9')).features).toHaveLength(4);
    await planBoth();
    const [before, now] = [randomUUID(), randomUUID()];
    await fillGeneration(pool, before, USERS, 0);
    await fillGeneration(pool, now, USERS, 5);
    let rows = 0;
    const options = {
      before: { id: before, baseId: null },
      now,
      isOfSome: false,
      version,
      segments: ['city'],
      oneIn: 1,
      byPages: false,
      timeoutMs: 30_000,
      signal: new AbortController().signal,
    };
    await joinGenerations(features, options, (row) => {
      if (row.segments[0] !== null) rows++;
    });
    expect(rows).toBe(USERS);
  });

  /** Plans a run of all users, and a stale run of the one user with an event. */
  async function planBoth(): Promise<void> {
    const { pool } = database;
    const store = createRunStore(pool, { features });
    const base = { predictor: 'visits', reason: 'test', scheduleSlot: null };
    const all = await store.create({ ...base, scope: { kind: 'all' } });
    expect(await planNow(store, all.run.id)).toMatchObject({ usersExpected: USERS, chunkCount: 3 });
    await pool.query(`insert into tandem.events (source, id, type, user_id) values ('shop', '1', 'order.placed', '7')`);
    const stale = await store.create({ ...base, scope: { kind: 'stale' } });
    expect(await planNow(store, stale.run.id)).toMatchObject({ scope: 'stale', usersExpected: 1 });
  }

  test.each(['secrets', 'tandem.events', 'tandem.api_keys', 'tandem.outcomes', 'tandem.artifacts'])(
    'a feature query cannot read %s',
    async (table) => {
      await expect(describeQuery(features, `select 1 as user_id, t.* from ${table} t`)).rejects.toThrow(
        'permission denied for table',
      );
    },
  );
});
