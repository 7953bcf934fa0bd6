/** Runs each SQL block of the docs on a real Postgres with the schema, in a transaction that is rolled back. */
import { createPool } from '@tandem/offline-store/sql/database';
import { cloneDatabase, type TestDatabase } from '@tandem/testing/databases';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { documentedBlocks, placeOf } from './documented-blocks.ts';

/** The tables and columns of an application that the blocks use. */
const TABLES = `
  create table customers (customer_id bigint primary key, orders int not null default 0, visits int not null default 0);
  insert into customers (customer_id) values (42)`;
const ROLES = ['tandem', 'reader', 'features'];

let database: TestDatabase;
let pool: ReturnType<typeof createPool>;
beforeAll(async () => {
  database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  pool = createPool({ url: database.url, max: 1, applicationName: 'docs-test' });
  await pool.query(TABLES);
});
afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

const blocks = documentedBlocks().filter(({ language, mark }) => language === 'sql' && mark === null);

it.each(blocks.map((block) => [placeOf(block), block] as const))('%s runs', async (_, { code }) => {
  const name = new URL(database.url).pathname.slice(1);
  // A commit in the block would end the transaction that this test rolls back.
  const statements = code.replaceAll(/^(begin|commit);$/gm, '').replaceAll('on database shop', `on database ${name}`);
  const client = await pool.connect();
  try {
    await client.query('begin');
    for (const role of ROLES) await client.query(createMissing(role, code));
    await client.query(statements);
  } finally {
    await client.query('rollback');
    client.release();
  }
});

it('has some', () => expect(blocks.length).toBeGreaterThan(4));

/** Creates the role if the block does not. */
function createMissing(role: string, code: string): string {
  if (new RegExp(`create role ${role}\\b`).test(code)) return 'select';
  return `do $$ begin if to_regrole('${role}') is null then create role ${role}; end if; end $$`;
}
