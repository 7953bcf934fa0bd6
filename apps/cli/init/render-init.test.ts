import { expect, test } from 'vitest';
import { keyNotes } from './render-init.ts';
import { table } from './table.fixture.ts';
import type { KeyFacts } from './table-facts.ts';

const notesFor = (type: string, facts: Partial<KeyFacts> = {}, nulls = 0) => {
  const { key, ...rest } = table('age integer');
  return keyNotes({ ...rest, key: { ...key, ...facts, column: { ...key.column, type, nulls } } });
};

test('a key with a unique index needs no word', () => {
  expect(notesFor('bigint')).toEqual([]);
});

test('a key without one is told with the index to create; in a view there can be none', () => {
  expect(notesFor('text', { unique: 'counted' })).toEqual([
    'a read of one user is quick with: create unique index on customers (id)',
  ]);
  expect(notesFor('text', { unique: 'counted', isIndexable: false })).toEqual([
    expect.stringContaining('depends on the tables beneath customers'),
  ]);
});

test('a key that has to be cast needs an index on the cast, whatever other it has', () => {
  expect(notesFor('numeric')).toEqual([
    'id is of type numeric, and user ids are integers, uuids or texts: id::bigint',
    'a read of one user is quick with: create unique index on customers ((id::bigint))',
  ]);
});

test('rows without a key are counted', () => {
  expect(notesFor('bigint', {}, 1200)).toEqual(['1,200 rows without an id are not read']);
});
