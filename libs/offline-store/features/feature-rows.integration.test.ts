import type { FeatureKind, ModelVersion } from '@tandem/freshness/predictor';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { createEventStore } from '../events/events.ts';
import { oddVersion } from '../odd-version.fixture.ts';
import { createTestDatabase, patientFeatures, type TestDatabase } from '../store.fixture.ts';
import { chunkCopySql } from './feature-statement.ts';

const USERS = 40;
/** Each type that a feature may have, with its kind, and with values that one of the two forms could decode wrongly. */
const TYPES: Readonly<Record<string, readonly [FeatureKind, readonly string[]]>> = {
  float8: ['number', ['0.1', '-0', '1e-320', '1.7976931348623157e308', 'NaN', 'Infinity', '-Infinity', '-12.5']],
  float4: ['number', ['0.1', '3.4028235e38', '16777216', '1e-45', 'NaN']],
  numeric: ['number', ['0.1', '123456789012345678901234567890', '-0.000000001', 'NaN', '10']],
  int2: ['integer', ['-32768', '32767', '0']],
  int4: ['integer', ['-2147483648', '2147483647', '-1']],
  int8: [
    'integer',
    ['9007199254740991', '-9007199254740991', '9007199254740992', '-9223372036854775808', '-1', '4294967296'],
  ],
  bool: ['boolean', ['true', 'false']],
  text: ['string', ['', 'é漢😀', 'a\nb']],
  'char(5)': ['string', ['ab', 'abcde']],
  varchar: ['string', ['x']],
  name: ['string', ['n']],
  share: ['number', ['0.25', '1']],
};
const columns = Object.keys(TYPES);

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  await database.pool.query(`create domain share as float8 check (value <= 1);
    create table odd (user_id bigint primary key, ${columns.map((type, i) => `c${i} ${type}`).join(', ')})`);
  for (let user = 1; user <= USERS; user++) {
    // Each column has a null in one row.
    const values = columns.map((type) => [null, ...(TYPES[type]?.[1] ?? [])]).map((all) => all[user % all.length]);
    const places = values.map((_, i) => `$${i + 2}`).join(', ');
    await database.pool.query(`insert into odd values ($1, ${places})`, [user, ...values]);
  }
});
afterAll(() => database.drop());

function versionOf(kinds: readonly FeatureKind[], nullAs: number | undefined): ModelVersion {
  return oddVersion(kinds.map((kind, i) => ({ name: `c${i}`, kind, ...(nullAs === undefined ? {} : { nullAs }) })));
}

const everybody = { from: null, to: null };
const names = Array.from({ length: USERS }, (_, i) => String(i + 1));

async function readBothWays(version: ModelVersion) {
  const features = patientFeatures(database.pool);
  const [range, users] = [
    await features.readRange(version, everybody),
    (await features.readUsers(version, names)).batch,
  ];
  const byUser = (batch: typeof range) =>
    Object.fromEntries(
      batch.userIds.map((userId, row) => [
        userId,
        {
          label: batch.contextVersions[row],
          fault: batch.faults.get(row),
          values: batch.values.map((all) => all[row]),
        },
      ]),
    );
  return { range, inBinary: byUser(range), asText: byUser(users) };
}

describe('a range read in binary form', () => {
  const kinds = columns.map((type) => TYPES[type]?.[0] as FeatureKind);

  test.each([undefined, 0])(
    'gives the same values, nulls and faults as a read by name, with nulls as %s',
    async (nullAs) => {
      const { inBinary, asText } = await readBothWays(versionOf(kinds, nullAs));
      expect(Object.keys(inBinary)).toHaveLength(USERS);
      expect(inBinary).toEqual(asText);
      const faults = Object.values(inBinary).map(({ fault }) => fault);
      expect(faults.some((fault) => fault?.includes('is null'))).toBe(nullAs === undefined);
    },
  );

  test('detects kinds that no longer match the version', async () => {
    const others = kinds.map((kind): FeatureKind => (kind === 'string' ? 'number' : 'string'));
    const { inBinary, asText } = await readBothWays(versionOf(others, undefined));
    expect(inBinary).toEqual(asText);
    expect(inBinary['1']?.fault).toContain('no longer of kind');
  });

  test('has the labels and the values of events, even over unusable values', async () => {
    const data = { c0: 7.5, c5: 5, c7: 'of an event' };
    const event = { source: 't', id: '1', type: 'x', userId: '5', time: null, data };
    await createEventStore(database.pool).accept([event, { ...event, id: '2', userId: '6', data: null }]);
    const { inBinary, asText } = await readBothWays(versionOf(kinds, 0));
    expect(inBinary).toEqual(asText);
    expect([inBinary['5']?.label, inBinary['6']?.label, inBinary['7']?.label]).toEqual([1, 1, 0]);
  });

  test('gives an array of doubles for a column that has only numbers', async () => {
    await database.pool.query('update odd set c3 = 1 where c3 is null');
    const { range } = await readBothWays(versionOf(kinds, 0));
    expect(range.values[3]).toBeInstanceOf(Float64Array);
    expect(range.values[4]).not.toBeInstanceOf(Float64Array);
  });

  test('accepts more rows than its first arrays hold, and no rows', async () => {
    const many = { ...versionOf(['integer'], undefined) };
    const sql = 'select n::bigint as user_id, n as c0 from generate_series(1, 20000) n';
    const version = { ...many, query: { ...many.query, sql } };
    const features = patientFeatures(database.pool);
    const batch = await features.readRange(version, everybody);
    const wrong = batch.userIds.filter((userId, row) => Number(userId) !== batch.values[0]?.[row]);
    expect([batch.userIds.length, wrong]).toEqual([20_000, []]);
    expect((await features.readRange(version, { from: '20001', to: null })).userIds).toEqual([]);
  });

  test('reads the contexts of named users once, even if Postgres expects one row from the feature query', async () => {
    await database.pool.query(`create function few_odd() returns setof odd language sql rows 1 as 'select * from odd'`);
    const version = oddVersion([{ name: 'c0', kind: 'number', nullAs: 0 }], 'select * from few_odd()');
    const statement = chunkCopySql(version, { userIds: names }, [false]);
    const select = /^copy \((.*)\) to stdout/s.exec(statement)?.[1];
    const { rows } = await database.pool.query<{ 'QUERY PLAN': string }>(`explain ${select}`);
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    expect(plan).toMatch(/(Hash|Merge) Full Join/);
    expect(plan).not.toContain('Nested Loop');
    const { batch } = await patientFeatures(database.pool).readNamed(version, [...names, '999']);
    expect(batch.userIds.toSorted()).toEqual(names.toSorted());
    expect(batch.contextVersions[batch.userIds.indexOf('5')]).toBe(1);
  });

  test('leaves its connection usable for the next statement if the query fails', async () => {
    const version = versionOf(['number'], undefined);
    const sql = `select user_id, 1 / (user_id - 7)::float8 as c0 from odd`;
    const failing = patientFeatures(database.pool).readRange(
      { ...version, query: { ...version.query, sql } },
      everybody,
    );
    await expect(failing).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('division by zero'),
    });
    expect((await patientFeatures(database.pool).readRange(version, everybody)).userIds).toHaveLength(USERS);
  });
});
