/**
 * Statements in sessions that a pooler lends for a transaction: they have Tandem's settings, and leave nothing behind.
 */
import type { ModelVersion } from '@tandem/freshness/predictor';
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { createEventStore } from '../events/events.ts';
import { type RecordingProxy, startRecordingProxy } from '../recording-proxy.fixture.ts';
import {
  createTestDatabase,
  createVisits,
  patientFeatures,
  type TestDatabase,
  visitsPredictor,
} from '../store.fixture.ts';
import { createPool, limitStatements, query, transaction } from './database.ts';

type Pool = ReturnType<typeof createPool>;
const ROWS = { from: null, to: null };

let database: TestDatabase;
let proxy: RecordingProxy;
/** Pools of one connection each, so that the next statement finds any changes of the session. */
let own: Pool;
let lent: Pool;

beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  await createVisits(database.pool, 10);
  await adopt(database.pool, { predictors: [visitsPredictor()], actor: 'test' });
  proxy = await startRecordingProxy(database.url);
  const shared = { url: proxy.url, applicationName: 'lent-session', max: 1, statementTimeoutMs: 5_000 };
  [own, lent] = [createPool(shared), createPool({ ...shared, throughPooler: true })];
});
afterEach(expectNothingLeft);
afterAll(async () => {
  await Promise.all([own.end(), lent.end()]);
  await proxy.close();
  await database.drop();
});

const SET = `select name from pg_settings where source = 'session' and name <> 'application_name'
  and name <> 'client_encoding'`;

/** Expects that a connection's session has no settings and no prepared statements that another client would find. */
async function expectNothingLeft(): Promise<void> {
  const client = await lent.connect();
  const left: { rows: unknown[] }[] = [];
  try {
    left.push(await client.query(SET), await client.query('select name from pg_prepared_statements'));
  } finally {
    client.release();
  }
  expect(left.map(({ rows }) => rows)).toEqual([[], []]);
}

const LIMITS = `select current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock,
  current_setting('synchronous_commit') as commit, current_setting('jit') as jit`;
const OURS = { statement: '5s', lock: '10s', commit: 'on', jit: 'off' };

test('single statements, transactions and read-only transactions have Tandem’s settings, whatever another client left', async () => {
  const client = await lent.connect();
  await client.query('set synchronous_commit = off; set statement_timeout = 40000; set jit = on');
  client.release();
  expect(await query(lent, { text: LIMITS })).toEqual([OURS]);
  expect(await query(lent, { text: LIMITS, withinMs: 60_000 })).toEqual([OURS]);
  expect(await transaction(lent, (db) => query(db, { text: LIMITS }))).toEqual([OURS]);
  const limited = await transaction(lent, async (db) => {
    await limitStatements(db, 60_000);
    return query(db, { text: LIMITS });
  });
  expect(limited).toEqual([{ ...OURS, statement: '1min' }]);
  expect(await query(lent, { text: LIMITS })).toEqual([OURS]);
  const cleared = await lent.connect();
  await cleared.query('reset all');
  cleared.release();
});

test('a statement that takes too long is ended by Postgres, and the connection stays usable', async () => {
  await expect(query(lent, { text: 'select pg_sleep(30)' })).rejects.toMatchObject({ code: 'unavailable' });
  await expect(query(lent, { text: 'select 1/0' })).rejects.toThrow('division by zero');
  expect(await query(lent, { text: 'select $1::int as n', values: [7] })).toEqual([{ n: 7 }]);
});

const version = async (): Promise<ModelVersion> => {
  const [{ id = '' } = {}] = await query<{ id: string }>(database.pool, {
    text: 'select id from tandem.model_versions',
  });
  return { ...visitsPredictor().definition, id, number: 1 };
};
let events = 0;
const WORK: Readonly<Record<string, (pool: Pool) => Promise<unknown>>> = {
  'an event': (pool) => {
    const event = { source: 'test', id: `${++events}`, type: 'x', userId: '1', time: null, data: { orders: events } };
    return createEventStore(pool).accept([event]);
  },
  'a live read': async (pool) => patientFeatures(pool).readUsers(await version(), ['1', '2'], 'with rows'),
  'a chunk': async (pool) => patientFeatures(pool).readRange(await version(), ROWS),
  'a transaction': (pool) => transaction(pool, (db) => query(db, { text: 'select 1' })),
};

test.each(Object.keys(WORK))(
  '%s takes as many round trips as in a separate session, and has the same result',
  async (name) => {
    const work = WORK[name] ?? (() => Promise.reject(new Error(name)));
    /** The statement is run once before, since the first execution prepares it. */
    const trips = async (pool: Pool) => {
      await work(pool);
      const before = proxy.sent.length;
      await work(pool);
      const sent = proxy.sent.slice(before);
      return {
        trips: sent.filter(({ type }) => type === 'Q' || type === 'S').length,
        statements: sent.filter(({ type }) => type === 'E' || type === 'Q').length,
        named: sent.filter(({ type, text }) => type === 'P' && !text.startsWith('\0')).length,
      };
    };
    const [ofOwn, ofLent] = [await trips(own), await trips(lent)];
    expect(ofLent.trips).toBe(ofOwn.trips);
    expect(ofLent.named).toBe(0);
  },
);
