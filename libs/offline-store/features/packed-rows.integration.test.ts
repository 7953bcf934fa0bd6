/**
 * Reads of named users: the first read of a version has a column per feature, later reads have all features in one
 * column.
 */

import type { FeatureBatch } from '@tandem/freshness/features';
import type { FeatureColumn, ModelVersion } from '@tandem/freshness/predictor';
import type { FeatureSource } from '@tandem/prediction/scoring/feature-source';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { createEventStore } from '../events/events.ts';
import { findModelVersion } from '../models/registry.ts';
import { oddVersion } from '../odd-version.fixture.ts';
import { createPool } from '../sql/database.ts';
import {
  createTestDatabase,
  createVisits,
  patientFeatures,
  type TestDatabase,
  visitsPredictor,
} from '../store.fixture.ts';

const USERS = 12;
const names = Array.from({ length: USERS }, (_, i) => String(i + 1));
/** Each type that is read in its binary form, with its kind, and with values that could be decoded wrongly. */
const TYPES: Readonly<Record<string, readonly [FeatureColumn['kind'], readonly string[]]>> = {
  float8: ['number', ['0.1', '-0', '1e-320', '1.7976931348623157e308', 'NaN', 'Infinity', '-12.5']],
  int2: ['integer', ['-32768', '32767']],
  int4: ['integer', ['-2147483648', '2147483647']],
  int8: ['integer', ['9007199254740991', '9007199254740992', '-9223372036854775808', '-1']],
  bool: ['boolean', ['true', 'false']],
  text: ['string', ['', 'é漢😀', 'a\nb', `${'long '.repeat(500)}`]],
  varchar: ['string', ['x']],
};
const columns = Object.entries(TYPES).map(([, [kind]], i) => ({ name: `c${i}`, kind }));

let database: TestDatabase;
/** A pool of one connection, which lists its prepared statements. */
let pool: pg.Pool;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  pool = createPool({ url: database.url, max: 1, applicationName: 'packed' });
  const types = Object.keys(TYPES).map((type, i) => `c${i} ${type}`);
  await pool.query(`create table odd (user_id bigint primary key, ${types.join(', ')})`);
  for (const user of names) {
    const values = Object.values(TYPES).map(([, all]) => [null, ...all][Number(user) % (all.length + 1)]);
    const places = values.map((_, i) => `$${i + 2}`).join(', ');
    await pool.query(`insert into odd values ($1, ${places})`, [user, ...values]);
  }
});
afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

/** Returns how often a packed statement of this version was run. */
async function packedReads({ id }: ModelVersion): Promise<number> {
  const { rows } = await pool.query<{ runs: number }>(
    `select (generic_plans + custom_plans)::int as runs from pg_prepared_statements where name = 'tandem-packed-' || $1`,
    [id],
  );
  return rows[0]?.runs ?? 0;
}

const read = async (source: FeatureSource, version: ModelVersion) =>
  (await source.readUsers(version, names, 'with rows')).batch;

/** Returns the content of a batch by user, whatever the order of the rows. */
function byUser({ userIds, contextVersions, values, faults, unusable }: FeatureBatch) {
  const rows = userIds.map((userId, row): [string, unknown] => [
    userId,
    [contextVersions[row], values.map((all) => all[row]), faults.get(row), unusable.get(row)],
  ]);
  return Object.fromEntries(rows);
}

describe('a packed read', () => {
  test.each([undefined, 0])(
    'gives the same values, nulls and faults as a read by columns, with nulls as %s',
    async (nullAs) => {
      const version = oddVersion(columns.map((column) => (nullAs === undefined ? column : { ...column, nullAs })));
      const source = patientFeatures(pool);
      const [first, second] = [await read(source, version), await read(source, version)];
      expect(await packedReads(version)).toBe(1);
      expect(Object.keys(byUser(first))).toHaveLength(USERS);
      expect(byUser(second)).toEqual(byUser(first));
      expect([...second.faults.values()].some((fault) => fault.includes('is null'))).toBe(nullAs === undefined);
    },
  );

  test('has labels, certificate and the values of events', async () => {
    const version = oddVersion(columns.map((column) => ({ ...column, nullAs: 0 })));
    await createEventStore(pool).accept([{ source: 't', id: '1', type: 'x', userId: '5', time: null, data: null }]);
    const accepted = Date.now();
    const laid = { c0: 7.5, c3: 5, c5: 'of an event' };
    const entries = Object.entries(laid).map(([name, value]) => [
      name,
      { value, accepted, time: accepted, source: 't', id: '1' },
    ]);
    await pool.query(`update tandem.user_contexts set features = $1 where user_id = '5'`, [
      JSON.stringify(Object.fromEntries(entries)),
    ]);
    const source = patientFeatures(pool);
    const [first, second] = [
      await source.readUsers(version, names, 'with rows'),
      await source.readUsers(version, names, 'with rows'),
    ];
    expect(await packedReads(version)).toBe(1);
    expect(byUser(second.batch)).toEqual(byUser(first.batch));
    expect(second.batch.values[0]?.[second.batch.userIds.indexOf('5')]).toBe(7.5);
    const states = ({ certificate }: typeof first) => [...names, '99'].map((userId) => certificate.user(userId, 'odd'));
    expect(states(second)).toEqual(states(first));
    expect(states(second)[4]?.version).toBe(1);
    const { history, revision } = first.certificate;
    expect([second.certificate.history, second.certificate.revision]).toEqual([history, revision]);
    expect(second.batch.readAt).toBe(second.certificate.now);
  });

  test('is not used if users without a row need a certificate, too', async () => {
    const version = oddVersion(columns);
    const source = patientFeatures(pool);
    await read(source, version);
    await createEventStore(pool).accept([{ source: 't', id: '2', type: 'x', userId: '77', time: null, data: null }]);
    expect((await source.readUsers(version, ['77'])).certificate.user('77', 'odd').version).toBe(1);
    expect(await packedReads(version)).toBe(0);
  });

  test('returns a changed assignment immediately', async () => {
    await createVisits(pool, USERS);
    const adoptModel = async (model: string) => {
      const { predictors } = await adopt(pool, { predictors: [visitsPredictor({ model })], actor: 'test' });
      return predictors[0]?.modelVersionId ?? '';
    };
    const id = await adoptModel('first');
    const version = await findModelVersion(pool, id);
    const source = patientFeatures(pool);
    const assigned = async () =>
      (await source.readUsers(version, names, 'with rows')).certificate.assignments('visits')?.stable.modelVersionId;
    expect([await assigned(), await assigned()]).toEqual([id, id]);
    expect(await packedReads(version)).toBe(1);
    const next = await adoptModel('second');
    await pool.query(`update tandem.arms set model_version_id = $1 where predictor = 'visits'`, [next]);
    await pool.query('update tandem.settings set revision = revision + 1');
    expect([await assigned(), await assigned()]).toEqual([next, next]);
    expect(await packedReads(version)).toBe(3);
  });
});

describe('features with unexpected types', () => {
  const column: FeatureColumn = { name: 'c', kind: 'integer' };
  const readsOf = async (version: ModelVersion, change = 'select') => {
    const source = patientFeatures(pool);
    for (let i = 0; i < 8; i++) await read(source, version);
    await pool.query(change);
    const [changed, again] = [await read(source, version), await read(source, version)];
    expect(byUser(again)).toEqual(byUser(changed));
    return { changed, packed: await packedReads(version) };
  };
  const tableOf = async (name: string) => {
    await pool.query(`create table ${name} as select n::bigint as user_id, n as c from generate_series(1, ${USERS}) n`);
    return oddVersion([column], `select user_id, c from ${name}`);
  };

  test.each([
    ['bigint', 'using c', undefined],
    ['text', 'using c::text', 'no longer of kind integer'],
    // This type has no binary form.
    ['aclitem', `using ('=r/' || quote_ident(current_user))::aclitem`, 'no longer of kind integer'],
  ])('a column that becomes %s is read again', async (type, using, fault) => {
    const table = `altered_${type}`;
    const { changed, packed } = await readsOf(
      await tableOf(table),
      `alter table ${table} alter column c type ${type} ${using}`,
    );
    if (fault === undefined) expect([...(changed.values[0] ?? [])]).toEqual(changed.userIds.map(Number));
    else expect(changed.faults.get(0)).toContain(fault);
    // The statements before the change, and the statement that detected it.
    expect(packed).toBe(8);
  });

  test('are never read packed again for a column of a domain or a column that is read as text', async () => {
    await pool.query('create domain share as int4 check (value < 1000)');
    const domain = await readsOf(oddVersion([column], 'select user_id, user_id::int::share as c from odd'));
    expect([domain.packed, domain.changed.faults.size]).toEqual([1, 0]);
    const numeric = oddVersion([{ name: 'c', kind: 'number' }], 'select user_id, 0.25 as c from odd');
    const { changed, packed } = await readsOf(numeric);
    expect([packed, changed.values[0]?.[0]]).toEqual([0, 0.25]);
  });
});
