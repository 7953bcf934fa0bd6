import { expect, test } from 'vitest';
import { indexStatement } from './check-predictor.ts';

const scan = { relation: 'public.My table', sql: 'public."My table"', oid: 7, rows: 5_000, indexed: [] };

test('names the key column that the config watches, with its quotes', () => {
  expect(indexStatement([scan], [{ oid: 7, key: '"Device-ID"' }])).toBe(
    'create index on public."My table" ("Device-ID")',
  );
});

test('puts a computed key into parentheses', () => {
  expect(indexStatement([scan], [{ oid: 7, key: 'id::bigint' }])).toBe(
    'create index on public."My table" ((id::bigint))',
  );
});

test('names no key if the config watches another table, every user, or a key that has an index', () => {
  const unknown = 'create index on public."My table" (…)';
  expect(indexStatement([scan], [{ oid: 8, key: 'id' }])).toBe(unknown);
  expect(indexStatement([scan], [{ oid: 7, key: null }])).toBe(unknown);
  expect(indexStatement([{ ...scan, indexed: ['id'] }], [{ oid: 7, key: 'id' }])).toBe(unknown);
  expect(indexStatement([{ ...scan, indexed: ['(id::bigint)'] }], [{ oid: 7, key: 'id::bigint' }])).toBe(unknown);
});
