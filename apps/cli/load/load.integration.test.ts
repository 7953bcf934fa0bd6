/** Tests of `tandem load` on a real Postgres: the created table, rejected files, and tables that are not changed. */
import { createPool } from '@tandem/offline-store/sql/database';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createPlace, type Place } from '../init/strangers-table.fixture.ts';

let place: Place;
beforeEach(async () => {
  place = await createPlace({ migrated: false });
});
afterEach(() => place.remove());

async function rows(sql: string): Promise<unknown[]> {
  const pool = createPool({ url: place.databaseUrl, max: 1, applicationName: 'load-test' });
  return pool
    .query(sql)
    .then((result) => result.rows)
    .finally(() => pool.end());
}

async function load(content: string | Buffer, options = '--key customer_id') {
  await place.write('customers.csv', content);
  return place.tandem(`load customers.csv ${options}`);
}

const tables = () => rows(`select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace`);

test('a file becomes a table with types, nulls, a primary key, and unchanged texts', async () => {
  const { code, out, err } = await load(
    `customer_id,zip,spent,vip,since,seen,note,Total Charges\n42,00123,1.5,True,2026-01-31,2026-01-31 10:00,"a\tb\\n\n""c""",7\n43,,,,,,,\n`,
  );
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toMatch(/table customers \(created\): 2 rows\n +customer_id +bigint, primary key\n +zip +text, 1 null/);
  expect(out).toContain('npx tandem init --model <file.onnx> --table customers --key customer_id');
  const [one, two] = await rows(
    `select customer_id, zip, spent, vip, since::text, seen at time zone 'UTC' = '2026-01-31 10:00' as seen, note, "Total Charges" as total
      from customers order by 1`,
  );
  expect(one).toEqual({
    ...{ customer_id: 42, zip: '00123', spent: 1.5, vip: true, since: '2026-01-31', seen: true },
    ...{ note: 'a\tb\\n\n"c"', total: 7 },
  });
  const nulls = { zip: null, spent: null, vip: null, since: null, seen: null, note: null, total: null };
  expect(two).toEqual({ customer_id: 43, ...nulls });
  const key = `select conname from pg_constraint where conrelid = 'customers'::regclass and contype = 'p'`;
  expect(await rows(key)).toHaveLength(1);
});

test.each<[string, string | Buffer, RegExp]>([
  [
    'a user twice',
    'customer_id,a\n1,"x\ny"\n2,x\n1,x\n',
    /customers\.csv, line 5: customer_id 1 already occurs in line 2\n.*one row for each user/,
  ],
  ['a row without a user', 'customer_id,a\n1,x\n,x\n', /line 3: customer_id is empty/],
  ['a row with too few values', 'customer_id,a\n1,x\n2\n', /line 3: 1 value, but the header has 2/],
  ['no such key', 'customerid2,a\n1,x\n', /line 1: no column is named customer_id\n.*--key/],
  ['a NUL character', 'customer_id,a\n1,x\n2,"x\0"\n', /line 3: a text has a NUL character/],
  ['bytes of another encoding', Buffer.from('customer_id,a\n1,é\n', 'latin1'), /line 2: it is not UTF-8\n.*iconv/],
])('a file with %s is rejected with its line, and no table is created', async (_, content, problem) => {
  const { code, err } = await load(content);
  expect(err).toMatch(problem);
  expect(code).toBe(1);
  expect(await tables()).toEqual([]);
});

test('an existing table is not changed without --replace, which keeps its triggers and rights', async () => {
  await place.sql(`create table customers (customer_id bigint primary key, a bigint); insert into customers values (1, 1);
    create function noted() returns trigger language plpgsql as 'begin return null; end';
    create trigger noted after truncate on customers execute function noted()`);
  const refused = await load('customer_id,a\n2,2\n3,3\n');
  expect(refused).toMatchObject({
    code: 1,
    err: expect.stringMatching(/Table customers already exists\.\n.*--replace/),
  });
  expect(await rows('select * from customers')).toEqual([{ customer_id: 1, a: 1 }]);

  const replaced = await place.tandem('load customers.csv --key customer_id --replace');
  expect(replaced.out).toContain('table customers (its rows were replaced): 2 rows');
  expect(await rows('select customer_id from customers order by 1')).toEqual([{ customer_id: 2 }, { customer_id: 3 }]);
  expect(await rows(`select tgname from pg_trigger where tgrelid = 'customers'::regclass`)).toHaveLength(1);

  const others = await load('customer_id,b\n4,4\n', '--key customer_id --replace');
  expect(others.err).toMatch(/other columns than the file, and triggers that would be lost/);
  expect(await rows('select count(*)::int as rows from customers')).toEqual([{ rows: 2 }]);

  await place.sql('drop trigger noted on customers');
  const again = await place.tandem('load customers.csv --key customer_id --replace');
  expect(again.out).toContain('table customers (dropped and created): 1 row');
});

test('a load that fails does not change the existing table', async () => {
  await load('customer_id,a\n1,1\n');
  expect((await load('customer_id,a\n2,2\n2,2\n', '--key customer_id --replace')).code).toBe(1);
  expect(await rows('select * from customers')).toEqual([{ customer_id: 1, a: 1 }]);
});

test('--table names the table with its schema, and a view is not replaced', async () => {
  await place.sql('create schema crm; create view seen as select 1 as customer_id');
  expect((await load('Customer ID,a\n1,1\n', '--key customer_id --table crm.order')).out).toContain(
    'table crm.order (created)',
  );
  expect(await rows('select * from crm."order"')).toEqual([{ 'Customer ID': 1, a: 1 }]);
  expect((await load('customer_id\n1\n', '--key customer_id --table seen --replace')).err).toContain(
    'seen is not an ordinary table',
  );
});

test('many rows are copied while the file is read', async () => {
  const lines = Array.from({ length: 200_000 }, (_, i) => `${i},${i / 2},text ${i}\n`);
  const { out } = await load(`customer_id,half,note\n${lines.join('')}`);
  expect(out).toContain('200,000 rows');
  expect(await rows('select count(*)::int, sum(half), max(note) from customers')).toEqual([
    { count: 200_000, sum: 9_999_950_000, max: 'text 99999' },
  ]);
});
