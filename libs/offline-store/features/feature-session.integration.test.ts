/** The only effect of a feature query on the database and on its session is a read, on a real Postgres. */
import { randomUUID } from 'node:crypto';
import type { ModelVersion } from '@tandem/freshness/predictor';
import { planNow } from '@tandem/prediction/runs/steps.fixture';
import { bytesLeftBy, MAX_BYTES_LEFT } from '@tandem/testing/bytes-left';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { createInputSource } from '../explanations/kept-explanations.ts';
import { fillGeneration } from '../generations/generation-reports-copy.fixture.ts';
import { joinGenerations } from '../generations/generation-reports-copy.ts';
import { type RecordingProxy, startRecordingProxy } from '../recording-proxy.fixture.ts';
import { createRunStore } from '../runs/run-store.ts';
import { createPool, withClient } from '../sql/database.ts';
import {
  createTestDatabase,
  createVisits,
  patientFeatures,
  type TestDatabase,
  VISITS_SQL,
  visitsPredictor,
} from '../store.fixture.ts';
import { describeQuery, explainRange, explainUser, findDuplicateKeys } from './feature-check.ts';
import { readOnce } from './feature-session.ts';
import { findProvenance } from './provenance.ts';

const USERS = 120;
/** A query that writes when a user is looked up. */
const WRITING_SQL = `select user_id, recency, orders, member, city, loaded_at from visits, lateral (select write() as answer offset 0) w where w.answer > 0`;
const EVERYBODY = { from: null, to: null };
const [BEFORE, NOW] = [randomUUID(), randomUUID()];
let database: TestDatabase;
let proxy: RecordingProxy;
/** One connection, so that the next query finds any changes of the session. */
let features: ReturnType<typeof createPool>;

beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  await createVisits(database.pool, USERS);
  await database.pool.query(`create table victim ();
    create table written (at timestamptz);
    create function write() returns bigint language sql volatile as 'insert into written values (now()) returning 1'`);
  // A stale run looks up this user.
  await database.pool.query(
    `insert into tandem.user_contexts (user_id, version, touched) values ('1', 1, '{"visits": 1}')`,
  );
  await fillGeneration(database.pool, BEFORE, USERS, 0);
  await fillGeneration(database.pool, NOW, USERS, 5);
  proxy = await startRecordingProxy(database.url);
  features = createPool({ url: proxy.url, max: 1, applicationName: 'feature-session-test' });
});
afterAll(async () => {
  await features.end();
  await proxy.close();
  await database.drop();
});

/** Returns the predictor's version with another query. */
function versionWith(sql: string): ModelVersion {
  return {
    ...visitsPredictor().definition,
    query: { ...visitsPredictor().definition.query, sql },
    id: randomUUID(),
    number: 1,
  };
}

/** All functions that run a feature query, by name. */
const PATHS: Readonly<Record<string, (version: ModelVersion) => Promise<unknown>>> = {
  'live read': (version) => patientFeatures(features).readUsers(version, ['1', '2']),
  chunk: (version) => patientFeatures(features).readRange(version, EVERYBODY),
  columns: ({ query }) => describeQuery(features, query.sql),
  'plan of a live read': (version) => explainUser(features, version),
  'plan of a chunk': (version) => explainRange(features, version),
  'duplicate keys': ({ query }) => findDuplicateKeys(features, query.sql, 5),
  provenance: (version) => findProvenance(features, version, '1'),
  'inputs of kept explanations': (version) => createInputSource(database.pool, features).readInputs(version, ['1']),
  'comparison by segments': (version) =>
    joinGenerations(
      features,
      {
        before: { id: BEFORE, baseId: null },
        now: NOW,
        isOfSome: false,
        version,
        segments: ['city'],
        oneIn: 1,
        byPages: false,
        timeoutMs: 10_000,
        signal: new AbortController().signal,
      },
      () => {},
    ),
  'run of all': ({ query }) => planRun(query.sql, 'all'),
  'stale run': ({ query }) => planRun(query.sql, 'stale'),
};

async function planRun(sql: string, kind: 'all' | 'stale'): Promise<void> {
  const predictor = visitsPredictor();
  const definition = { ...predictor.definition, query: { ...predictor.definition.query, sql } };
  await adopt(database.pool, { predictors: [{ ...predictor, definition }], actor: 'test' });
  const store = createRunStore(database.pool, { features });
  const { run } = await store.create({ predictor: 'visits', scope: { kind }, reason: 'test', scheduleSlot: null });
  const planned = await planNow(store, run.id);
  if (planned.state === 'failed') throw new Error(planned.error ?? 'without a reason');
  await store.cancel(run.id);
}

describe.each(Object.entries(PATHS))('%s', (name, path) => {
  afterEach(() => {
    proxy.sent.length = 0;
  });

  test('sends the query by the extended protocol, inside a read-only transaction that is rolled back', async () => {
    const marker = `marker ${randomUUID()}`;
    await path(versionWith(`${VISITS_SQL} /* ${marker} */`));
    const sent = proxy.sent.filter(({ type }) => type === 'P' || type === 'Q' || type === 'B');
    const marked = sent.flatMap(({ text, type }, i) => (text.includes(marker) ? [{ type, i }] : []));
    expect(marked.length).toBeGreaterThan(0);
    for (const { type, i } of marked) {
      expect(type).toBe('P');
      // The statement is sent as text, or bound by its prepared name.
      const ends = (text: string) => /^\0?(begin|commit|rollback|tandem-begin-read-only|tandem-rollback)/.test(text);
      expect(sent.slice(0, i).findLast(({ text }) => ends(text))?.text).toMatch(
        /begin isolation level read committed read only|tandem-begin-read-only/,
      );
      expect(sent.slice(i + 1).find(({ text }) => ends(text))?.text).toContain('rollback');
    }
  });

  test('rejects a second statement, even if no earlier check caught it', async () => {
    const work = path(versionWith(`${VISITS_SQL}) f; drop table victim; select * from (${VISITS_SQL}`));
    // If the statement has the query in more than one pair of brackets, the second statement is a syntax error.
    await expect(work).rejects.toThrow(/cannot insert multiple commands into a prepared statement|syntax error/);
    await database.pool.query('select from victim');
  });

  test('does not let the query write', async () => {
    const settings = ['default_transaction_read_only', 'transaction_read_only'].map(
      (name) => `set_config('${name}', 'off', false)`,
    );
    for (const call of ['write()::text', ...settings]) {
      const sql = `select v.* from visits v, lateral (select ${call} as answer offset 0) w where w.answer is not null`;
      await path(versionWith(sql)).catch(() => {});
      await path(versionWith(sql.replace(call, 'write()::text'))).catch(() => {});
    }
    expect((await database.pool.query('select from written')).rowCount).toBe(0);
  });

  test('reports that the query must not write, with the message of Postgres', async () => {
    const work = path(versionWith(WRITING_SQL));
    // To describe the columns, Postgres does not run the query.
    if (name === 'columns') return expect(await work).toHaveLength(6);
    await expect(work).rejects.toThrow(
      /^(cannot be planned: )?The feature query( of predictor visits)? must not write: cannot execute INSERT in a read-only transaction(, at features.sql; .*)?$/,
    );
  });
});

test.each(['live read', 'chunk', 'run of all', 'duplicate keys'])(
  '%s: exceeding temp_file_limit is reported as a fault of the query, not as an unavailable database',
  async (name) => {
    const { rows } = await database.pool.query('select current_database() as name');
    await database.pool.query(`alter database "${rows[0].name}" set temp_file_limit = '64kB'`);
    const sql = `${VISITS_SQL}, (select count(*) as numbers from generate_series(1, 1000000)) c where numbers > 0`;
    await features.end();
    features = createPool({ url: proxy.url, max: 1, applicationName: 'feature-session-test' });
    try {
      const why =
        /The feature query( of predictor visits)? writes more temporary files than temp_file_limit allows: temporary file size exceeds/;
      await expect(PATHS[name]?.(versionWith(sql))).rejects.toThrow(why);
    } finally {
      await database.pool.query(`alter database "${rows[0].name}" reset temp_file_limit`);
      await features.end();
      features = createPool({ url: proxy.url, max: 1, applicationName: 'feature-session-test' });
    }
  },
);

describe('a live read', () => {
  const one = async (text: string, name?: string) =>
    (await readOnce<[string]>(features, { text, timeoutMs: 10_000, rowMode: 'array', ...(name && { name }) }))
      .rows[0]?.[0];

  test('leaves nothing behind for a full garbage collection', async () => {
    const read = () => readOnce(database.pool, { text: 'select 1', name: 'left', timeoutMs: 10_000, rowMode: 'array' });
    expect(await bytesLeftBy(1_000, read)).toBeLessThan(MAX_BYTES_LEFT);
  });

  test('takes one round trip, prepared or not', async () => {
    const fresh = createPool({ url: proxy.url, max: 1, applicationName: 'feature-session-test' });
    const sentFor = async (name: string) => {
      proxy.sent.length = 0;
      await readOnce(fresh, { text: 'select 1', name, timeoutMs: 10_000, rowMode: 'array' });
      return proxy.sent.map(({ type }) => type).join('');
    };
    await withClient(fresh, async () => {});
    expect([await sentFor('a'), await sentFor('a'), await sentFor('b')]).toEqual([
      'PPBEPBDEBES',
      'BEBDEBES',
      'BEPBDEBES',
    ]);
    await fresh.end();
  });

  test.each([
    ['search_path', 'tandem'],
    ['statement_timeout', '0'],
    ['TimeZone', 'Asia/Kathmandu'],
    ['DateStyle', 'German'],
    ['extra_float_digits', '-15'],
    ['default_transaction_read_only', 'off'],
    ['default_transaction_isolation', 'serializable'],
    ['bytea_output', 'escape'],
  ])('leaves %s unchanged, whatever a query sets', async (name, value) => {
    const setting = `select current_setting('${name}')`;
    const before = await one(setting);
    expect(await one(`select set_config('${name}', '${value}', false)`)).not.toBeUndefined();
    expect(await one(setting)).toBe(before);
  });

  test('that fails leaves its connection usable, even for a statement with the name of the failed one', async () => {
    await expect(one('select 1 / 0', 'failing')).rejects.toThrow('division by zero');
    expect(await one(`select 'again'`, 'failing')).toBe('again');
    await expect(one('select nothing', 'unparsed')).rejects.toThrow('does not exist');
    expect(await one(`select 'parsed'`, 'unparsed')).toBe('parsed');
    await expect(one('select (1 / (select count(*) from written))::text', 'later')).rejects.toThrow('division by zero');
    expect(await one(`select 'unnamed'`)).toBe('unnamed');
  });

  test('of a query that writes is rejected as a fault of the config, not as an unavailable database', async () => {
    await expect(one('select write()::text')).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('The feature query must not write'),
    });
  });
});
