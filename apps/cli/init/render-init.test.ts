import { expect, test } from 'vitest';
import { besideNotes, keyNotes } from './render-init.ts';
import { table } from './table.fixture.ts';
import type { KeyFacts } from './table-facts.ts';

const notesFor = (type: string, facts: Partial<KeyFacts> = {}, nulls = 0) => {
  const { key, ...rest } = table('age integer');
  return keyNotes({ ...rest, key: { ...key, ...facts, column: { ...key.column, type, nulls } } });
};

test('a key with a unique index has no remark', () => {
  expect(notesFor('bigint')).toEqual([]);
});

test('a key without an index has a remark with the index to create, which a view cannot have', () => {
  expect(notesFor('text', { unique: 'counted' })).toEqual([
    'an index makes reads of one user fast: create unique index on customers (id)',
  ]);
  expect(notesFor('text', { unique: 'counted', isIndexable: false })).toEqual([
    expect.stringContaining('depends on the tables beneath customers'),
  ]);
});

test('a key that must be cast needs an index on the cast, whatever other indexes exist', () => {
  expect(notesFor('numeric')).toEqual([
    'id has type numeric, but user ids are integers, uuids or texts, so it is cast: id::bigint',
    'an index makes reads of one user fast: create unique index on customers ((id::bigint))',
  ]);
});

test('rows without a key are counted', () => {
  expect(notesFor('bigint', {}, 1200)).toEqual(['1,200 rows without an id are not read']);
});

test('a served predictor of the same name is replaced, and there is nothing to move', () => {
  const failure = { predictor: 'failure', served: [], isReplacing: true, isBeside: false };
  const replaced = 'adopting this config replaces the served predictor failure';
  expect(besideNotes(failure, 'nopk.config.ts')).toEqual([replaced]);
  expect(besideNotes({ ...failure, isBeside: true }, 'nopk.config.ts')).toEqual([replaced]);
});

test('a config that replaces one of several served predictors needs the others too', () => {
  const failure = { predictor: 'failure', served: ['churn'], isReplacing: true, isBeside: true };
  expect(besideNotes(failure, 'nopk.config.ts')).toEqual([
    'adopting this config replaces the served predictor failure',
    'churn is served now, but not in nopk.config.ts: adopting the config stops serving it',
    'to serve them together, put all under `predictors` of one config',
  ]);
});

test('a new predictor is moved to the tandem.config.ts of the folder only if there is such a file', () => {
  const failure = { predictor: 'failure', served: ['churn'], isReplacing: false, isBeside: false };
  expect(besideNotes(failure, 'nopk.config.ts')).toEqual([
    'churn is served now, but not in nopk.config.ts: adopting the config stops serving it',
    'to serve them together, put all under `predictors` of one config',
  ]);
  expect(besideNotes({ ...failure, isBeside: true }, 'ml/nopk.config.ts').at(-1)).toBe(
    'to serve both, move failure to `predictors` of ml/tandem.config.ts',
  );
});
