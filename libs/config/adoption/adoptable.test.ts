import { expect, test } from 'vitest';
import { columns, definitionOf, type Overrides, output, problemsIn, withColumn } from './adoptable.fixture.ts';
import { conflictsBetween, eventFeatures } from './adoptable.ts';
import type { QueryColumn } from './query-columns.ts';

test('a query and a model that fit give a definition: the single input takes the columns in order', () => {
  expect(definitionOf()).toEqual({
    predictor: 'churn',
    artifactHash: 'a'.repeat(64),
    keyType: 'int8',
    query: {
      sql: 'select …',
      columns: [
        { name: 'visits', kind: 'integer' },
        { name: 'spent', kind: 'number' },
      ],
      asOf: null,
      overlayForMs: null,
    },
    inputs: [{ name: 'features', type: 'float32', columns: ['visits', 'spent'] }],
    outputs: [{ name: 'score', output: 'score', type: 'float32', width: null, index: 0 }],
  });
});

test('asOf is not a feature', () => {
  const described = [...columns, { name: 'at', type: 'timestamp with time zone' }];
  expect(definitionOf({ features: { asOf: 'at' } }, described).query.columns).toHaveLength(2);
});

test.each([
  ['int2', 'int8'],
  ['integer', 'int8'],
  ['uuid', 'uuid'],
  ['text', 'text'],
  ['character varying(20)', 'text'],
])('a key of type %s gives ids of type %s', (type, keyType) => {
  expect(definitionOf({}, [{ name: 'user_id', type }, ...columns.slice(1)]).keyType).toBe(keyType);
});

test.each<[string, string]>([
  ['boolean', 'boolean'],
  ['real', 'number'],
  ['smallint', 'integer'],
])('a column of type %s is a feature of kind %s', (type, kind) => {
  expect(definitionOf({}, withColumn('x', type)).query.columns[1]?.kind).toBe(kind);
});

test.each<[string, QueryColumn[], Overrides, string]>([
  ['no key', columns.slice(1), {}, "features.sql: has no column user_id; it has visits, spent → rename the user's key"],
  [
    'a numeric key',
    [{ name: 'user_id', type: 'numeric' }, ...columns.slice(1)],
    {},
    'has a user_id of type numeric → use a key of type',
  ],
  [
    'a numeric feature',
    withColumn('spent', 'numeric(10,2)'),
    {},
    'column spent is of type numeric(10,2), which cannot be a feature → cast it: spent::float8 as spent',
  ],
  [
    'a timestamp',
    withColumn('seen', 'timestamptz'),
    {},
    'extract(epoch from seen)::float8 as seen; if it says when the row was loaded, name it in features.asOf',
  ],
  ['a date', withColumn('born', 'date'), {}, "turn it into days: (born - date '1970-01-01') as born"],
  ['an interval', withColumn('gap', 'interval'), {}, 'extract(epoch from gap)::float8'],
  ['json', withColumn('tags', 'jsonb'), {}, 'column tags is of type jsonb, which cannot be a feature → leave it out'],
  ['two columns of a name', withColumn('visits', 'int4'), {}, 'has two columns visits → leave one out'],
  ['a column without a name', withColumn('?column?', 'int4'), {}, 'has a column without a name'],
  ['no feature', columns.slice(0, 1), {}, 'has no feature column'],
  [
    'no such asOf',
    columns,
    { features: { asOf: 'at' } },
    'features.asOf: the query has no column at → add at to the query',
  ],
  [
    'the key as asOf',
    columns,
    { features: { asOf: 'user_id' } },
    'features.asOf: user_id is the key, not a time → add a column of the time to the query as a timestamptz',
  ],
  [
    'asOf of another type',
    withColumn('at', 'timestamp'),
    { features: { asOf: 'at' } },
    'features.asOf: column at is of type timestamp, not timestamptz',
  ],
])('a query with %s is refused', (_, described, overrides, message) => {
  expect(problemsIn(overrides, described).join('\n')).toContain(message);
});

test('problems of the query and of the outputs are reported together', () => {
  expect(problemsIn(output('x'), columns.slice(1))).toHaveLength(2);
});

test('events may carry values only for a predictor with asOf or overlayFor', () => {
  expect(eventFeatures(definitionOf().query)).toEqual({});
  expect(eventFeatures(definitionOf({ features: { overlayForMs: 1000 } }).query)).toEqual({
    visits: 'integer',
    spent: 'number',
  });
});

test('two predictors with conflicting event values or user-ID types are refused', () => {
  const taker = definitionOf({ name: 'taker', features: { overlayForMs: 1000 } });
  const ignorer = definitionOf({ name: 'ignorer' });
  expect(conflictsBetween([ignorer, definitionOf()])).toEqual([]);
  expect(conflictsBetween([taker, ignorer])).toEqual([
    {
      path: 'predictors.ignorer.features',
      problem:
        'events send values of visits, spent to predictor taker; this predictor uses features of these names, but sets neither asOf nor overlayFor',
      remedy: 'add asOf or overlayFor, or rename the features in one of the queries',
    },
  ]);
  const boolean = definitionOf({ name: 'other', features: { overlayForMs: 1 } }, withColumn('spent', 'bool'));
  expect(conflictsBetween([taker, boolean])[0]?.problem).toBe(
    'feature spent is a boolean here, but a number for predictor taker: no event could send a value to both',
  );
  const uuid = definitionOf({ name: 'uuid' }, [{ name: 'user_id', type: 'uuid' }, ...columns.slice(1)]);
  expect(conflictsBetween([ignorer, uuid])[0]?.problem).toBe(
    'has user ids of type uuid, but predictor ignorer has bigint',
  );
});
