/** A commit that raises a version waits for the disk, whatever the application's session has set. */
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { watchSource } from '../sources/watch-source.ts';
import { createTestDatabase, createVisits, type TestDatabase, visitsPredictor } from '../store.fixture.ts';

let database: TestDatabase;
let application: pg.Client;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  await createVisits(database.pool, 10);
  await adopt(database.pool, { predictors: [visitsPredictor()], actor: 'test' });
});
afterAll(() => database?.drop());
beforeEach(async () => {
  application = new pg.Client({ connectionString: database.url });
  await application.connect();
  return () => application.end();
});

const modeNow = async () =>
  (await application.query<{ mode: string }>(`select current_setting('synchronous_commit') as mode`)).rows[0]?.mode;

/** Commits a change in a session with this setting. Returns the setting at the end of the transaction, and after it. */
async function commitAs(mode: string, change: string): Promise<readonly unknown[]> {
  await application.query(`set synchronous_commit = ${mode}`);
  await application.query('begin');
  await application.query(change);
  // Fires the deferred triggers, as the commit does.
  await application.query('set constraints all immediate');
  const atCommit = await modeNow();
  await application.query('commit');
  return [atCommit, await modeNow()];
}

const EVENT = `insert into tandem.events (source, id, type, user_id) values ('app', gen_random_uuid()::text, 'x', '1')`;

test.each([
  ['off', 'on'],
  ['local', 'on'],
  ['remote_write', 'remote_write'],
  ['on', 'on'],
  ['remote_apply', 'remote_apply'],
])('a transaction with synchronous_commit %s that inserts an event commits with %s', async (asked, found) => {
  expect(await commitAs(asked, EVENT)).toEqual([found, asked]);
});

test('a change of a watched table does the same, for one user and for all', async () => {
  const watch = { table: 'visits', key: 'user_id', columns: null, predictors: ['visits'], actor: 'test' };
  await watchSource(database.pool, { ...watch, maxUsers: 2 });
  expect(await commitAs('off', 'update visits set orders = orders + 1 where user_id = 1')).toEqual(['on', 'off']);
  expect(await commitAs('off', 'update visits set orders = orders + 1')).toEqual(['on', 'off']);
});

test('a later setting of the transaction does not lower it', async () => {
  expect(await commitAs('on', `${EVENT}; set local synchronous_commit = off`)).toEqual(['on', 'on']);
});

test('a transaction that raises no version keeps its setting', async () => {
  expect(await commitAs('off', 'select from tandem.user_contexts')).toEqual(['off', 'off']);
});
