import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { readOnly } from '../features/feature-session.ts';
import { query } from '../sql/database.ts';
import { createTestDatabase, type TestDatabase } from '../store.fixture.ts';
import { findBoundaries } from './key-boundaries.ts';

const USERS = 200;
const PATIENCE_MS = 60_000;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  // The rows are unordered, with a third of the users twice, and a row without a user.
  await query(database.pool, {
    text: `create table keyed as select n::bigint * 3 as number, 'user ' || n as text
      from generate_series(1, ${USERS}) n order by md5(n::text)`,
  });
  await query(database.pool, { text: 'insert into keyed select * from keyed where number % 9 = 0' });
  await query(database.pool, { text: 'insert into keyed values (null, null)' });
});
afterAll(() => database.drop());

const boundariesOf = (sql: string, size: number) =>
  readOnly(database.pool, (db) => findBoundaries(db, { sql }, size, PATIENCE_MS));

test.each(['number', 'text'])(
  'ranges over a key column of type %s begin at every n-th user, and count each user once',
  async (column) => {
    const sql = `select ${column} as user_id from keyed -- a comment at the end`;
    const rows = await query<{ key: string }>(database.pool, {
      text: `select key::text from (select distinct ${column} as key from keyed where ${column} is not null) keys order by keys.key`,
    });
    const keys = rows.map((row) => row.key);
    // Ranges of one user take several round trips. 50 divides the number of users; 201 exceeds it.
    for (const size of [1, 2, 7, 50, USERS, 201]) {
      const expected = keys.filter((_, i) => i > 0 && i % size === 0);
      expect(await boundariesOf(sql, size)).toEqual({ users: USERS, keys: expected });
    }
  },
);

test('a query without rows has no users and no boundaries', async () => {
  expect(await boundariesOf('select number as user_id from keyed where false', 5)).toEqual({ users: 0, keys: [] });
});
