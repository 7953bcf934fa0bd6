import { setTimeout as pause } from 'node:timers/promises';
import { bytesLeftBy, MAX_BYTES_LEFT } from '@tandem/testing/bytes-left';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { createEventStore } from '../events/events.ts';
import { createPool, query, transaction } from '../sql/database.ts';
import { startProxy } from '../stalling-proxy.fixture.ts';
import { createTestDatabase, type TestDatabase, visitsPredictor } from '../store.fixture.ts';
import { createAuthority } from './authority.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  await adopt(database.pool, { predictors: [visitsPredictor()], actor: 'test' });
});
afterAll(() => database.drop());

/** A time limit for a busy machine. The limit itself has a separate test. */
const PATIENT = { timeoutMs: 20_000 };

const event = (id: string, userId: string) => ({ source: 't', id, type: 'x', userId, time: null, data: null });

test('a certificate has the versions, assignment, history and clock of one moment', async () => {
  const [result] = await createEventStore(database.pool).accept([event('1', '7')]);
  const authority = createAuthority(database.pool, PATIENT);
  const certificate = await authority.certify(['7', '8', 'a "quoted\\ id'], 'visits', 'other');
  expect(certificate.user('7', 'visits')).toEqual({ version: 1, touched: 1, deletedVersion: 0 });
  // The event concerned all existing predictors. A later predictor has no stored predictions from before the event.
  expect(certificate.user('7', 'other')).toEqual({ version: 1, touched: 1, deletedVersion: 0 });
  expect(certificate.user('8', 'visits')).toEqual({ version: 0, touched: 0, deletedVersion: 0 });
  expect(`${certificate.history}.1`).toBe(result?.contextToken);
  expect(certificate.assignments('visits')?.stable).toMatchObject({
    arm: 'stable',
    modelNumber: 1,
    generation: null,
    overlayFloor: 0,
  });
  expect(certificate.assignments('nobody')?.stable).toBeUndefined();
  expect(Math.abs(certificate.now - Date.now())).toBeLessThan(60_000);
  await authority.close();
});

test('a change of an arm is in the next certificate, and a withdrawn predictor has no assignment', async () => {
  const authority = createAuthority(database.pool, PATIENT);
  const before = await authority.certify([]);
  await database.pool.query('update tandem.arms set overlay_floor = 5, revision = revision + 1');
  const after = await authority.certify([]);
  expect(after.revision).toBeGreaterThan(before.revision);
  expect(after.assignments('visits')?.stable.overlayFloor).toBe(5);
  expect(before.assignments('visits')?.stable.overlayFloor).toBe(0);
  await database.pool.query('update tandem.predictors set active = false');
  expect((await authority.certify([])).assignments('visits')?.stable).toBeUndefined();
  await database.pool.query('update tandem.predictors set active = true');
  await authority.close();
});

test('if the arms are known, a certificate does not wait for a concurrent change of them', async () => {
  const authority = createAuthority(database.pool, PATIENT);
  await authority.certify([]);
  const client = await database.pool.connect();
  try {
    await client.query('begin; lock table tandem.arms in access exclusive mode');
    expect((await authority.certify(['7'], 'visits')).user('7', 'visits')).toMatchObject({ version: 1 });
  } finally {
    await client.query('rollback');
    client.release();
  }
  await authority.close();
});

/** A statement as the authority passes it to the driver. */
interface SentStatement {
  readonly name?: string;
  readonly callback: (...answer: unknown[]) => void;
}

test('an answer that was overtaken by a later revision undoes nothing', async () => {
  const pool = createPool({ url: database.url, max: 4, applicationName: 'authority-late' });
  const held = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  let holdNext = false;
  // The answer to one certificate is delayed until the test releases it.
  pool.on('connect', (client) => {
    const send = client.query.bind(client) as (statement: SentStatement) => unknown;
    const query = (statement: SentStatement) => {
      const { name, callback } = statement;
      if (holdNext && name === 'tandem-certificate-known-arms') {
        holdNext = false;
        Object.assign(statement, {
          callback(...answer: unknown[]) {
            arrived.resolve();
            void held.promise.then(() => callback(...answer));
          },
        });
      }
      return send(statement);
    };
    Object.assign(client, { query });
  });
  const revisions: number[] = [];
  const authority = createAuthority(pool, { ...PATIENT, onRevision: (revision) => revisions.push(revision) });
  const { revision: first } = await authority.certify([]);
  holdNext = true;
  const late = authority.certify([]);
  await arrived.promise;
  await database.pool.query('update tandem.arms set revision = revision + 1');
  const { revision: second } = await authority.certify([]);
  expect(second).toBeGreaterThan(first);
  held.resolve();
  expect((await late).revision).toBe(first);
  await authority.certify([]);
  expect(revisions).toEqual([first, second, second]);
  await authority.close();
  await pool.end();
});

test('a certificate always includes events that were acknowledged before its request', async () => {
  const authority = createAuthority(database.pool, PATIENT);
  const store = createEventStore(database.pool, { lockTimeoutMs: 20_000 });
  const acknowledged = new Map<string, number>();
  let violations = 0;
  const writer = async (n: number) => {
    for (let i = 0; i < 200; i++) {
      const userId = `${100 + (i % 2)}`;
      const [result] = await store.accept([event(`w${n}-${i}`, userId)]);
      if (!result) continue;
      acknowledged.set(userId, Math.max(result.contextVersion, acknowledged.get(userId) ?? 0));
      // A reader may be waiting for a certificate of the same user, which began before the event was acknowledged.
      if ((await authority.certify([userId], 'visits')).user(userId, 'visits').version < result.contextVersion)
        violations++;
    }
  };
  const reader = async () => {
    for (let i = 0; i < 1_000; i++) {
      const userId = `${100 + (i % 2)}`;
      const least = acknowledged.get(userId) ?? 0;
      if ((await authority.certify([userId], 'visits')).user(userId, 'visits').version < least) violations++;
    }
  };
  await Promise.all([writer(1), writer(2), reader(), reader(), reader(), reader()]);
  await authority.close();
  expect(violations).toBe(0);
});

test('a rotated history is another history', async () => {
  const authority = createAuthority(database.pool, PATIENT);
  const before = await authority.certify([]);
  await transaction(database.pool, async (db) => {
    await db.query('update tandem.history_rotation set rotation = gen_random_uuid()');
  });
  const after = await authority.certify([]);
  expect(after.history).not.toBe(before.history);
  expect(after.assignments('visits')?.stable).toBeDefined();
  await authority.close();
});

test('while Postgres does not answer, every request is rejected at the time limit; afterwards requests succeed again', async () => {
  const proxy = await startProxy(new URL(database.url));
  const pool = createPool({ url: proxy.url, max: 4, applicationName: 'authority-test' });
  const limit = 150;
  const authority = createAuthority(pool, { timeoutMs: limit });
  await expect.poll(() => authority.certify(['1'], 'visits').catch(() => null)).not.toBeNull();
  proxy.stall(true);
  const outcomes = new Map<string, number>();
  // A timer that begins with the request: on a busy machine it fires as late as the limit.
  const ask = async () => {
    const asked = authority.certify(['1'], 'visits').then(
      () => 'answered',
      (error: { code?: string }) => error.code ?? 'unknown',
    );
    const outcome = await Promise.race([asked, pause(limit + 60, 'late')]);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  };
  for (let round = 0; round < 5; round++) await Promise.all(Array.from({ length: 40 }, ask));
  expect(Object.fromEntries(outcomes)).toEqual({ unavailable: 200 });
  expect(proxy.connections()).toBeLessThanOrEqual(8);
  proxy.stall(false);
  await expect
    .poll(
      () =>
        authority.certify(['1'], 'visits').then(
          () => 'answers',
          () => 'fails',
        ),
      { timeout: 20_000 },
    )
    .toBe('answers');
  await authority.close();
  await pool.end();
  proxy.close();
});

test('a server that cannot be reached is unavailable', async () => {
  const pool = createPool({ url: 'postgres://postgres:x@127.0.0.1:1/none', applicationName: 'nobody' });
  const authority = createAuthority(pool);
  await expect(authority.certify(['1'], 'visits')).rejects.toMatchObject({ code: 'unavailable', retryAfter: 1 });
  await authority.close();
  await pool.end();
});

test('connections that broke while idle make no read fail', async () => {
  const authority = createAuthority(database.url, { ...PATIENT, applicationName: 'authority-cut' });
  const connected = () =>
    query<{ pid: number; isIdle: boolean }>(database.pool, {
      text: `select pid, state = 'idle' and query ~ '^select h.history' as "isIdle" from pg_stat_activity where application_name = 'authority-cut' and datname = current_database()`,
    });
  await Promise.all([authority.certify(['1'], 'visits'), authority.certify(['2']), authority.certify(['3'])]);
  for (let round = 0; round < 5; round++) {
    // Idle connections. A connection that is being opened is not idle yet.
    const pids = (await connected()).filter((row) => row.isIdle).map((row) => row.pid);
    expect(pids.length).toBeGreaterThan(0);
    // The request is sent at the moment when the connections break.
    const cut = database.pool.query('select pg_terminate_backend(pid) from unnest($1::int[]) as pid', [pids]);
    await expect(
      Promise.all([authority.certify(['1'], 'visits'), cut.then(() => authority.certify(['2']))]),
    ).resolves.toBeDefined();
  }
  await authority.close();
  await expect.poll(async () => (await connected()).length).toBe(0);
});

test('the authority with a separate pool answers while all other connections are busy', async () => {
  const pool = createPool({ url: database.url, max: 1, applicationName: 'taken' });
  const authority = createAuthority(database.url, PATIENT);
  await transaction(pool, async () => {
    expect((await authority.certify(['7'])).assignments('visits')?.stable).toBeDefined();
  });
  await authority.close();
  await pool.end();
});

test('a certificate leaves nothing behind for a full garbage collection', async () => {
  const authority = createAuthority(database.url, PATIENT);
  expect(await bytesLeftBy(1_000, () => authority.certify(['7'], 'visits'))).toBeLessThan(MAX_BYTES_LEFT);
  await authority.close();
});
