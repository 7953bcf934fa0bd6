import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createPool, query, transaction, withClient } from '@tandem/offline-store/sql/database';
import { createPartition } from '@tandem/offline-store/sql/partition';
import { cloneDatabase, type TestDatabase } from '@tandem/testing/databases';
import type pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { DRIVER_TYPES } from '../../scripts/generate-database.ts';
import { root } from '../architecture/source-tree.ts';
import { type ColumnKind, GENERATION, type KeptList, type KeptStatement } from './kept-statements.ts';

let database: TestDatabase;
let pool: pg.Pool;
beforeAll(async () => {
  database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  pool = createPool({ url: database.url, max: 1, applicationName: 'kept-statements-test' });
  await transaction(pool, (db) => createPartition(db, GENERATION));
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

/** Files with typed statements that this test does not check, and the reason. */
const UNCHECKED: readonly (readonly [file: string, why: string])[] = [
  ['runs/choose-users.ts', 'a fetch: its rows are those of the cursor, which Postgres does not describe'],
  ['runs/key-boundaries.ts', 'its rows are arrays'],
  ['runs/stale-users.ts', 'a fetch: its rows are those of the cursor, which Postgres does not describe'],
  ['sql/primary-pool.ts', 'one column of one function, asked within the time of the connection'],
  ['sql/statements.ts', 'Kysely makes the text and types the row'],
];

test("each SQL statement with a row type returns the type's columns with these types, except for nullability", async () => {
  const { statements, unread } = await listKept();
  const [fetches, others] = [statements.filter(isFetch), statements.filter((one) => !isFetch(one))];
  const unchecked = [...unread, ...fetches.map(({ place }) => place.replace(/:.*/, ''))];
  expect(unchecked.sort()).toEqual(UNCHECKED.map(([file]) => file).sort());
  expect(others.length).toBeGreaterThan(100);
  expect(await findWrong(others)).toEqual([]);
});

test('finds a missing column, a column of another type, and a statement that Postgres rejects', async () => {
  const columns = { id: 'string', number: 'string', missing: 'number' } as const;
  const place = 'here';
  expect(await findWrong([{ place, columns, texts: ['select id, number from tandem.generations'] }])).toEqual([
    'here: number is string in TypeScript, number in Postgres',
    'here: missing is number in TypeScript, undefined in Postgres',
  ]);
  expect(await findWrong([{ place, columns: {}, texts: ['select gone from tandem.generations'] }])).toEqual([
    'here: column "gone" does not exist',
  ]);
});

const SAMPLES: Readonly<Record<string, string>> = {
  ...{
    bool: 'true',
    bytea: '\\x00',
    date: '2020-01-01',
    timestamptz: '2020-01-01',
    interval: '1 day',
    json: '{}',
    jsonb: '{}',
  },
  ...{ uuid: GENERATION, regclass: 'tandem.runs' },
};

test('the driver returns values of the types that the schema generator assumes', async () => {
  for (const [type, expected] of Object.entries(DRIVER_TYPES)) {
    const text = `select '${SAMPLES[type] ?? 1}'::${type} as value`;
    const [row] = await query<{ value: unknown }>(pool, { text });
    const value = row?.value;
    const found = value instanceof Date ? 'Date' : Buffer.isBuffer(value) ? 'Buffer' : typeof value;
    expect([type, found]).toEqual([type, expected === 'unknown' ? 'object' : expected]);
  }
});

async function listKept(): Promise<KeptList> {
  const program = join(root, 'test/contract/kept-statements.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [program], { maxBuffer: 1 << 24 });
  return JSON.parse(stdout) as KeptList;
}

/** Returns whether the statement reads from a cursor. */
function isFetch({ texts }: KeptStatement): boolean {
  return texts.some((text) => text.startsWith('fetch '));
}

async function findWrong(statements: readonly KeptStatement[]): Promise<readonly string[]> {
  const { rows: types } = await pool.query<{ oid: number; name: string }>('select oid, typname as name from pg_type');
  const names = new Map(types.map(({ oid, name }) => [oid, name]));
  const wrong: string[] = [];
  for (const { place, columns, texts } of statements) {
    for (const text of texts) {
      const fields = await withClient(pool, (client) => describe(client, text)).catch((error: Error) => error);
      if (fields instanceof Error) {
        wrong.push(`${place}: ${fields.message}`);
        continue;
      }
      const kinds = new Map(fields.map(({ name, dataTypeID }) => [name, kindOf(names.get(dataTypeID) ?? '')]));
      for (const [name, kind] of Object.entries(columns)) {
        if (kinds.get(name) !== kind)
          wrong.push(`${place}: ${name} is ${kind} in TypeScript, ${kinds.get(name)} in Postgres`);
      }
    }
  }
  return wrong;
}

function kindOf(type: string): ColumnKind {
  const kind = DRIVER_TYPES[type] ?? 'other';
  return kind === 'unknown' || kind === 'object' ? 'other' : (kind as ColumnKind);
}

type Fields = readonly Pick<pg.FieldDef, 'name' | 'dataTypeID'>[];

/** Returns the columns of a statement without running it, by Parse and Describe of the extended protocol. */
function describe(client: pg.PoolClient, text: string): Promise<Fields> {
  const { promise, resolve, reject } = Promise.withResolvers<Fields>();
  let fields: Fields = [];
  const statement = {
    submit(connection: Record<'parse' | 'describe' | 'sync', (message?: object) => void>) {
      connection.parse({ text, name: '' });
      connection.describe({ type: 'S', name: '' });
      connection.sync();
    },
    callback: (error: Error | null) => (error ? reject(error) : resolve(fields)),
    handleRowDescription: (message: { readonly fields: Fields }) => {
      fields = message.fields;
    },
    handleError: reject,
    handleReadyForQuery: () => resolve(fields),
  };
  client.query(statement as unknown as pg.Submittable);
  return promise;
}
