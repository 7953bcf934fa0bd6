import type { ModelVersion } from '@tandem/freshness/predictor';
import type { FeatureSource } from '@tandem/prediction/scoring/feature-source';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { createAuthority } from '../certificate/authority.ts';
import { createEventStore } from '../events/events.ts';
import { findModelVersion } from '../models/registry.ts';
import {
  createTestDatabase,
  createVisits,
  patientFeatures,
  type TestDatabase,
  VISITS_SQL,
  visitsPredictor,
} from '../store.fixture.ts';
import { describeQuery, explainRange, explainUser, findDuplicateKeys } from './feature-check.ts';
import { createFeatureSource } from './features.ts';
import { findProvenance } from './provenance.ts';

let database: TestDatabase;
let version: ModelVersion;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  await createVisits(database.pool, 5_000);
  const { predictors } = await adopt(database.pool, { predictors: [visitsPredictor()], actor: 'test' });
  version = await findModelVersion(database.pool, predictors[0]?.modelVersionId ?? '');
});
afterAll(() => database.drop());

const event = (id: string, userId: string, data: Record<string, unknown> | null) => ({
  source: 't',
  id,
  type: 'x',
  userId,
  time: null,
  data,
});
const withQuery = (sql: string, keyType = version.keyType): ModelVersion => ({
  ...version,
  id: `${Math.random().toString(16).slice(2, 10)}`,
  keyType,
  query: { ...version.query, sql },
});
const rowSql = (values: string) =>
  `select * from (values ${values}) as t(user_id, recency, orders, member, city, loaded_at)`;
const at = `'2020-01-01'::timestamptz`;
const ENDLESS_SQL = VISITS_SQL.replace('recency,', '(select 1.0 from pg_sleep(3600)) as recency,');
const EVERYBODY = { from: null, to: null };

describe('reading users', () => {
  test('a row certifies like the authority: versions, concerning events, erasure', async () => {
    await createEventStore(database.pool).accept([event('c1', '103', null), event('c2', '104', null)]);
    await database.pool.query(
      `insert into tandem.user_contexts (user_id, version, deleted_version) values ('105', 3, 3), ('106', 4, 2)`,
    );
    const asked = ['103', '104', '105', '106', '107'];
    const source = patientFeatures(database.pool);
    const { certificate } = await source.readUsers(version, asked, 'with rows');
    const { certificate: whole } = await source.readUsers(version, asked);
    const states = (of: typeof whole) => asked.map((userId) => of.user(userId, 'visits'));
    expect(states(certificate)).toEqual(states(whole));
    expect(states(certificate).map(({ version: own, deletedVersion }) => [own, deletedVersion])).toEqual([
      [1, 0],
      [1, 0],
      [3, 3],
      [4, 2],
      [0, 0],
    ]);
    expect([certificate.history, certificate.assignments('visits')?.stable]).toEqual([
      whole.history,
      whole.assignments('visits')?.stable,
    ]);
  });

  test('features are in columns with the context version of the same statement, and the certificate equals the authority’s', async () => {
    await createEventStore(database.pool).accept([event('1', '3', null), event('2', '3', null)]);
    const { batch, certificate } = await patientFeatures(database.pool).readUsers(version, ['3', '4', '999999']);
    const row = batch.userIds.indexOf('3');
    expect([...batch.userIds].sort()).toEqual(['3', '4']);
    expect(batch.contextVersions[row]).toBe(2);
    expect(batch.values.map((column) => column[row])).toEqual([1.5, 3, 0, 'city 3']);
    expect(batch.faults.size).toBe(0);
    const authority = createAuthority(database.pool, { timeoutMs: 20_000 });
    const same = await authority.certify(['3'], 'visits');
    expect([certificate.history, certificate.revision, batch.history]).toEqual([
      same.history,
      same.revision,
      same.history,
    ]);
    expect(certificate.user('3', 'visits')).toEqual(same.user('3', 'visits'));
    expect(certificate.assignments('visits')?.stable).toEqual(same.assignments('visits')?.stable);
    expect(Math.abs(batch.readAt - Date.now())).toBeLessThan(60_000);
    await authority.close();
  });

  test('an event’s value overlays the row until the row’s asOf is later than its acceptance', async () => {
    const features = patientFeatures(database.pool);
    await createEventStore(database.pool).accept([event('3', '5', { orders: 77, member: true, city: 'Ö' })]);
    expect((await features.readUsers(version, ['5'])).batch.values.map((column) => [...column])).toEqual([
      [2.5],
      [77],
      [1],
      ['Ö'],
    ]);
    await database.pool.query('update visits set loaded_at = clock_timestamp() where user_id = 5');
    expect((await features.readUsers(version, ['5'])).batch.values.map((column) => [...column])).toEqual([
      [2.5],
      [5],
      [0],
      ['city 5'],
    ]);
    await createEventStore(database.pool).accept([event('4', '5', { orders: 78 }), event('5', '5', { orders: null })]);
    expect([...((await features.readUsers(version, ['5'])).batch.values[1] ?? [])]).toEqual([5]);
  });

  test('overlayForMs limits the time of an event’s value if there is no asOf', async () => {
    await createEventStore(database.pool).accept([event('6', '6', { orders: 66 })]);
    const read = async (overlayForMs: number) => {
      const query = { ...version.query, asOf: null, overlayForMs };
      const overlaid = { ...version, id: `o${overlayForMs}`, query };
      const { batch } = await patientFeatures(database.pool).readUsers(overlaid, ['6']);
      return [...(batch.values[1] ?? [])];
    };
    expect(await read(60_000)).toEqual([66]);
    expect(await read(0)).toEqual([6]);
  });

  test('a failing query is reported, and a prepared statement with changed types is read again', async () => {
    const features = patientFeatures(database.pool);
    await expect(
      features.readUsers(withQuery('select 1 as user_id, nothing from visits'), ['1']),
    ).rejects.toMatchObject({
      code: 'config_invalid',
      field: 'predictors.visits.features.sql',
    });
    await database.pool.query('create table wide as select * from visits where user_id < 3');
    const wide = withQuery(VISITS_SQL.replace('from visits', 'from wide'));
    const read = () => features.readUsers(wide, ['1']);
    for (let i = 0; i < 8; i++) await read();
    await database.pool.query('alter table wide alter column orders type bigint');
    expect([...((await read()).batch.values[1] ?? [])]).toEqual([1]);
    await database.pool.query('alter table wide alter column orders type text using orders::text');
    expect((await read()).batch.faults.get(0)).toContain('feature orders is no longer of kind integer');
  });

  test('a query slower than its limit is unavailable', async () => {
    await expect(
      createFeatureSource(database.pool, { usersTimeoutMs: 100 }).readUsers(withQuery(ENDLESS_SQL), ['1']),
    ).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('users that cannot be scored', () => {
  const faulty: [string, string, RegExp][] = [
    ['a null', `(1::bigint, null::float8, 1, true, 'a', ${at})`, /feature recency is null; .*coalesce/],
    ['NaN', `(1::bigint, 'NaN'::float8, 1, true, 'a', ${at})`, /feature recency is NaN/],
    ['infinity', `(1::bigint, '-Infinity'::float8, 1, true, 'a', ${at})`, /feature recency is -Infinity/],
    [
      'an integer beyond 2^53',
      `(1::bigint, 1::float8, 9007199254740993, true, 'a', ${at})`,
      /feature orders is 9007199254740993, an integer beyond 2\^53/,
    ],
    [
      'a type that is not the version’s',
      `(1::bigint, 'x', 1, true, 'a', ${at})`,
      /feature recency is no longer of kind number/,
    ],
  ];
  test.each(faulty)('%s is a fault that names column, value and remedy', async (_, values, message) => {
    const { batch } = await patientFeatures(database.pool).readUsers(withQuery(rowSql(values)), ['1']);
    expect(batch.faults.get(0)).toMatch(message);
  });

  test('each of two rows of one user is a fault; other users are scored', async () => {
    const sql = rowSql(
      `(1::bigint, 1::float8, 1, true, 'a', ${at}), (2, 2, 2, true, 'a', ${at}), (1, 3, 3, true, 'a', ${at})`,
    );
    const batch = await patientFeatures(database.pool).readRange(withQuery(sql), {
      from: null,
      to: null,
    });
    expect([...batch.faults.keys()].map((row) => batch.userIds[row])).toEqual(['1', '1']);
    expect([...batch.faults.values()][0]).toContain('more than one row');
    expect(await findDuplicateKeys(database.pool, sql, 10)).toEqual([{ userId: '1', rows: 2 }]);
  });

  test('a text id in another normal form is a fault that names the canonical id', async () => {
    const sql = rowSql(`(U&'e\\0301', 1::float8, 1, true, 'a', ${at})`);
    const batch = await patientFeatures(database.pool).readRange(withQuery(sql, 'text'), { from: null, to: null });
    expect(batch.faults.get(0)).toContain('"é"');
  });

  test('the text ids . and .. are faults; others are scored', async () => {
    const row = (id: string) => `('${id}', 1::float8, 1, true, 'a', ${at})`;
    const sql = rowSql(['.', '..', '...', 'a'].map(row).join(', '));
    const batch = await patientFeatures(database.pool).readRange(withQuery(sql, 'text'), { from: null, to: null });
    expect([...batch.faults.keys()].map((number) => batch.userIds[number]).sort()).toEqual(['.', '..']);
    expect([...batch.faults.values()][0]).toContain('no URL path can carry');
  });
});

describe('reading ranges', () => {
  test('half-open ranges in the key’s order cover every user once', async () => {
    const features = patientFeatures(database.pool);
    const ranges = [
      { from: null, to: '10' },
      { from: '10', to: '1000' },
      { from: '1000', to: null },
    ];
    const batches = await Promise.all(ranges.map((range) => features.readRange(version, range)));
    expect(batches.map((batch) => batch.userIds.length)).toEqual([9, 990, 4_001]);
    expect(new Set(batches.flatMap((batch) => batch.userIds)).size).toBe(5_000);
  });

  test('uuid and text keys are read by range and by name, too', async () => {
    const features = patientFeatures(database.pool);
    const uuid = withQuery(
      `select ('00000000-0000-0000-0000-' || lpad(user_id::text, 12, '0'))::uuid as user_id, recency, orders, member, city, loaded_at from visits`,
      'uuid',
    );
    const id = '00000000-0000-0000-0000-000000000007';
    expect((await features.readUsers(uuid, [id])).batch.userIds).toEqual([id]);
    expect((await features.readRange(uuid, { from: id, to: null })).userIds).toHaveLength(4_994);
    const text = withQuery(
      `select 'u' || user_id as user_id, recency, orders, member, city, loaded_at from visits`,
      'text',
    );
    expect([...((await features.readUsers(text, ['u7'])).batch.values[1] ?? [])]).toEqual([7]);
  });
});

describe('reading a chunk', () => {
  const ways = [
    [
      'by range',
      (source: FeatureSource, asked: ModelVersion, lost?: AbortSignal) => source.readRange(asked, EVERYBODY, lost),
    ],
    [
      'by name',
      (source: FeatureSource, asked: ModelVersion, lost?: AbortSignal) => source.readNamed(asked, ['1'], lost),
    ],
  ] as const;
  const asleep = () =>
    database.pool
      .query(`select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`)
      .then(({ rowCount }) => rowCount);

  test.each(ways)('%s that is slower than its limit is a fault of the query, with a remedy', async (_, read) => {
    const source = createFeatureSource(database.pool, { rangeTimeoutMs: 300 });
    await expect(read(source, withQuery(ENDLESS_SQL))).rejects.toMatchObject({
      code: 'config_invalid',
      message: 'The feature query of predictor visits did not read the users of a chunk within 0.3 s',
      field: 'predictors.visits.features.sql',
      remedy: expect.stringContaining('batch.chunkSize'),
    });
    await expect.poll(asleep).toBe(0);
  });

  test.each(ways)(
    '%s ends in Postgres when its lease is lost, and rejects with the reason of the loss',
    async (_, read) => {
      const lost = new AbortController();
      const reading = read(patientFeatures(database.pool), withQuery(ENDLESS_SQL), lost.signal);
      reading.catch(() => undefined);
      await expect.poll(asleep).toBe(1);
      lost.abort(new Error('the run was cancelled'));
      await expect(reading).rejects.toThrow('the run was cancelled');
      await expect.poll(asleep).toBe(0);
    },
  );

  test.each([0, 150])('by name includes erased users without a row, beside %d others', async (others) => {
    await database.pool.query(
      `insert into tandem.user_contexts (user_id, version, deleted_version)
        select 'gone' || n, 1, 1 from generate_series(1, ${others}) n union all values ('4003', 2, 0), ('999998', 4, 4)
        on conflict do nothing`,
    );
    const { batch, erased } = await patientFeatures(database.pool).readNamed(version, ['4003', '999998', '999999']);
    expect([batch.userIds, batch.contextVersions]).toEqual([['4003'], [2]]);
    expect(['4003', '999998', '999999'].filter((userId) => erased.has(userId))).toEqual(['999998']);
  });

  test('by name returns the same features as a live read', async () => {
    const source = patientFeatures(database.pool);
    const { batch } = await source.readNamed(version, ['3', '999999']);
    const live = await source.readUsers(version, ['3', '999999']);
    expect([batch.userIds, batch.values, batch.contextVersions]).toEqual([
      live.batch.userIds,
      live.batch.values,
      live.batch.contextVersions,
    ]);
  });
});

describe('checks', () => {
  test('a query is described without being run, and an error names the line', async () => {
    const columns = await describeQuery(database.pool, `${VISITS_SQL} -- all of them`);
    expect(columns.map(({ name, type, origin }) => [name, type, origin])).toEqual([
      ['user_id', 'bigint', 'public.visits.user_id'],
      ['recency', 'double precision', 'public.visits.recency'],
      ['orders', 'integer', 'public.visits.orders'],
      ['member', 'boolean', 'public.visits.member'],
      ['city', 'text', 'public.visits.city'],
      ['loaded_at', 'timestamp with time zone', 'public.visits.loaded_at'],
    ]);
    const error = describeQuery(database.pool, 'select user_id,\n  recency,\n  nothing\nfrom visits');
    await expect(error).rejects.toMatchObject({ code: 'config_invalid', message: expect.stringContaining('line 3') });
  });

  test('a key is read by its index; a window over all users, or a computed key, needs a scan', async () => {
    expect((await explainUser(database.pool, version)).scans).toEqual([]);
    expect((await explainRange(database.pool, version)).scans).toEqual([]);
    const ranked = withQuery(
      'select user_id, recency, orders, member, city, loaded_at, rank() over (order by orders) from visits',
    );
    expect((await explainUser(database.pool, ranked)).scans).toMatchObject([
      { relation: 'public.visits', sql: 'public.visits', rows: 5_000, indexed: ['user_id'] },
    ]);
    const computed = withQuery('select user_id + 0 as user_id, recency, orders, member, city, loaded_at from visits');
    const report = await explainUser(database.pool, computed);
    expect(report.scans).toMatchObject([{ relation: 'public.visits' }]);
    expect(report.plan).toContain('visits');
    expect((await explainRange(database.pool, computed)).scans).toMatchObject([{ relation: 'public.visits' }]);
  });
});

test('a user id that looks like a placeholder is explained like others', async () => {
  await database.pool.query(
    `create table odd_ids as select user_id::text, recency, orders, member, city, loaded_at from visits`,
  );
  const odd = withQuery(VISITS_SQL.replace('from visits', 'from odd_ids'), 'text');
  for (const id of [`$'`, '$2::', `$&'`, '$1::text[]']) {
    await database.pool.query('update odd_ids set user_id = $1', [id]);
    expect((await explainUser(database.pool, odd)).plan).toContain('odd_ids');
    expect((await explainRange(database.pool, odd)).plan).toContain('odd_ids');
  }
});

test('a query that seems to have a placeholder in a string or a comment is explained like others', async () => {
  const odd = withQuery(`${VISITS_SQL} where city <> '$1::' and city <> $$ $2:: $$ /* $3:: */ -- $4::`);
  for (const explained of [await explainUser(database.pool, odd), await explainRange(database.pool, odd)]) {
    expect(explained.plan).toContain(`'$1::'`);
    expect(explained.scans).toEqual([]);
  }
});

test('provenance names the source of each feature: the row, or a certain event', async () => {
  await createEventStore(database.pool).accept([event('p1', '9', { orders: 99 })]);
  const { features, fault } = await findProvenance(database.pool, version, '9');
  expect(fault).toBeNull();
  expect(features).toMatchObject([
    { name: 'recency', value: 4.5, from: 'row' },
    { name: 'orders', value: 99, from: 'event', rowValue: 9, event: { source: 't', id: 'p1' } },
    { name: 'member', value: 0, from: 'row' },
    { name: 'city', value: 'city 2', from: 'row' },
  ]);
  expect((await findProvenance(database.pool, version, '999999')).features).toEqual([]);
});
