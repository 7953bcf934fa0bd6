import { expect, test } from 'vitest';
import { adoptable, conflictsBetween, eventFeatures } from './adoptable.ts';
import type { ModelSignature } from './model-signature.ts';
import type { QueryColumn } from './query-columns.ts';
import type { ResolvedPredictor } from './resolve-predictor.ts';

const signature: ModelSignature = {
  inputs: [{ name: 'features', type: 'float32', shape: ['batch', 2] }],
  outputs: [
    { name: 'score', type: 'float32', shape: ['batch', 1] },
    { name: 'probabilities', type: 'float32', shape: [null, 3] },
  ],
};
const columns: QueryColumn[] = [
  { name: 'user_id', type: 'bigint' },
  { name: 'visits', type: 'int4' },
  { name: 'spent', type: 'double precision' },
];

type Overrides = Partial<Omit<ResolvedPredictor, 'features'>> & { features?: Partial<ResolvedPredictor['features']> };

function predictor({ features, ...other }: Overrides = {}): ResolvedPredictor {
  return {
    name: 'churn',
    model: { path: '/model.onnx', bytes: Buffer.from('model'), sha256: 'a'.repeat(64) },
    features: { sql: 'select …', asOf: null, overlayForMs: null, ...features },
    inputs: null,
    outputs: [{ name: 'score', from: 'score', type: 'float32', index: null, width: null }],
    policy: {
      freshness: {
        maxAgeMs: null,
        live: true,
        liveTimeoutMs: 50,
        onLiveFailure: 'stale',
        unverified: true,
        default: null,
        events: ['*'],
      },
      batch: { schedule: null, chunkSize: 5000, minCoverage: 0.9 },
    },
    ...other,
  };
}

function definitionOf(overrides: Overrides = {}, described = columns, model = signature) {
  const result = adoptable(predictor(overrides), described, model);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.definition;
}

function problemsIn(overrides: Overrides, described = columns, model = signature): string[] {
  const result = adoptable(predictor(overrides), described, model);
  return result.ok ? [] : result.problems.map(({ path, problem, remedy }) => `${path}: ${problem} → ${remedy}`);
}

const output = (from: string, more: Partial<ResolvedPredictor['outputs'][number]> = {}): Overrides => ({
  outputs: [{ name: 'score', from, type: 'float32', index: null, width: null, ...more }],
});
const input = (shape: (number | string | null)[], type: 'float32' | 'string' = 'float32'): ModelSignature => ({
  ...signature,
  inputs: [{ name: 'features', type, shape }],
});
const withColumn = (name: string, type: string) =>
  [columns[0], columns[1], { name, type }].filter((c) => c !== undefined);

test('query and model that fit give a definition: the single input takes the columns in order', () => {
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

test('asOf is no feature', () => {
  const described = [...columns, { name: 'at', type: 'timestamp with time zone' }];
  expect(definitionOf({ features: { asOf: 'at' } }, described).query.columns).toHaveLength(2);
});

test.each([
  ['int2', 'int8'],
  ['integer', 'int8'],
  ['uuid', 'uuid'],
  ['text', 'text'],
  ['character varying(20)', 'text'],
])('a key of type %s makes ids of %s', (type, keyType) => {
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
  [
    'no key',
    columns.slice(1),
    {},
    "features.sql: has no column user_id; it has visits, spent → name the user's key so",
  ],
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
    'column spent is of type numeric(10,2), which is no feature → cast it: spent::float8 as spent',
  ],
  [
    'a timestamp',
    withColumn('seen', 'timestamptz'),
    {},
    'extract(epoch from seen)::float8 as seen; if it says when the row was loaded, name it in features.asOf',
  ],
  ['a date', withColumn('born', 'date'), {}, "turn it into days: (born - date '1970-01-01') as born"],
  ['an interval', withColumn('gap', 'interval'), {}, 'extract(epoch from gap)::float8'],
  ['json', withColumn('tags', 'jsonb'), {}, 'column tags is of type jsonb, which is no feature → leave it out'],
  ['two columns of a name', withColumn('visits', 'int4'), {}, 'has two columns visits → leave one out'],
  ['a column without a name', withColumn('?column?', 'int4'), {}, 'has a column without a name'],
  ['no feature', columns.slice(0, 1), {}, 'has no feature column'],
  [
    'no such asOf',
    columns,
    { features: { asOf: 'at' } },
    'features.asOf: the query has no column at beside user_id → add at to the query',
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

test('a model that takes another number of features is refused with both numbers and the columns', () => {
  expect(problemsIn({}, columns, input(['batch', 12]))).toEqual([
    "predictors.churn.features.sql: the model's input features float32 [batch, 12] takes 12 features, and there are 2 feature columns: visits, spent → select exactly the model's features, in its order",
  ]);
});

test('a model that leaves the number of features open takes what there is', () => {
  expect(problemsIn({}, columns, input(['batch', null]))).toEqual([]);
});

test.each<[string, ModelSignature, string]>([
  [
    'a fixed number of users',
    input([1, 2]),
    'takes exactly 1 users at a time → export the model with a dynamic first dimension',
  ],
  ['one dimension', input(['batch']), 'is not of the form [users, features]'],
  [
    'text',
    input(['batch', 2], 'string'),
    "column visits is a integer, and the model's input is features string [batch, 2] → cast it: visits::text",
  ],
  [
    'several inputs',
    { ...signature, inputs: [...signature.inputs, { name: 'b', type: 'int64', shape: [null, 1] }] },
    'churn.inputs: the model has 2 inputs (features float32 [batch, 2]; b int64 [?, 1]), and the config does not say',
  ],
])('a model with inputs of %s is refused', (_, model, message) => {
  expect(problemsIn({}, columns, model).join('\n')).toContain(message);
});

test('a text column does not fit a model of numbers', () => {
  expect(problemsIn({}, withColumn('country', 'text'))[0]).toContain('turn country into a number in the query');
});

test('declared inputs map columns to tensors', () => {
  const model: ModelSignature = {
    ...signature,
    inputs: [
      { name: 'a', type: 'float32', shape: [null, 1] },
      { name: 'b', type: 'int64', shape: [null, 1] },
    ],
  };
  const inputs = [
    { name: 'a', type: 'float32' as const, columns: ['spent'] },
    { name: 'b', type: 'int64' as const, columns: ['visits'] },
  ];
  expect(definitionOf({ inputs }, columns, model).inputs).toEqual(inputs);
  const wrong = [
    { name: 'a', type: 'float64' as const, columns: ['spnt'] },
    { name: 'c', type: 'int64' as const, columns: ['visits'] },
  ];
  const problems = problemsIn({ inputs: wrong }, columns, model).join('\n');
  expect(problems).toContain(
    "the model's input b int64 [?, 1] is filled by nothing → add b: { type: 'int64', columns: […] }",
  );
  expect(problems).toContain(
    'inputs.a.columns: the query has no feature column spnt; it has visits, spent → did you mean spent?',
  );
  expect(problems).toContain('inputs.c: the model has no input c');
  expect(problems).toContain('column spent fills no input, so it would have no effect');
  expect(problemsIn({ inputs: [{ name: 'a', type: 'float64', columns: ['spent'] }] }, columns, model)[1]).toContain(
    "write 'float32'",
  );
});

test.each<[string, Overrides, string]>([
  [
    'an unknown tensor',
    output('skore'),
    "outputs.score: the model has no output skore; it has score float32 [batch, 1]; probabilities float32 [?, 3] → write { from: 'score', type: … }",
  ],
  [
    'another type',
    output('score', { type: 'float64' }),
    "is declared float64, and the model gives score float32 [batch, 1] → write 'float32'",
  ],
  [
    'several values',
    output('probabilities'),
    'has 3 values a user, and the config does not say which → add index (0 to 2) for one of them, or width: 3 for all',
  ],
  [
    'a value beyond the last',
    output('probabilities', { index: 2, width: 2 }),
    "takes value 3, and the model's output probabilities float32 [?, 3] has 3 a user",
  ],
])('an output of %s is refused', (_, overrides, message) => {
  expect(problemsIn(overrides)).toHaveLength(1);
  expect(problemsIn(overrides)[0]).toContain(message);
});

test('an output that is one value for all users is refused', () => {
  const model = { ...signature, outputs: [{ name: 'score', type: 'float32' as const, shape: [] }] };
  expect(problemsIn({}, columns, model)[0]).toContain('is one value for all users');
});

test('faults of the query and of the outputs are told together', () => {
  expect(problemsIn(output('x'), columns.slice(1))).toHaveLength(2);
});

test('events may carry values only for a predictor that says until when they count', () => {
  expect(eventFeatures(definitionOf().query)).toEqual({});
  expect(eventFeatures(definitionOf({ features: { overlayForMs: 1000 } }).query)).toEqual({
    visits: 'integer',
    spent: 'number',
  });
});

test('two predictors that disagree about a name in events, or about user ids, are refused', () => {
  const taker = definitionOf({ name: 'taker', features: { overlayForMs: 1000 } });
  const ignorer = definitionOf({ name: 'ignorer' });
  expect(conflictsBetween([ignorer, definitionOf()])).toEqual([]);
  expect(conflictsBetween([taker, ignorer])).toEqual([
    {
      path: 'predictors.ignorer.features',
      problem:
        "events send values of visits, spent to predictor taker; this predictor uses features of these names and does not say until when an event's value counts",
      remedy: 'add asOf or overlayFor, or give the features other names in one of the queries',
    },
  ]);
  const boolean = definitionOf({ name: 'other', features: { overlayForMs: 1 } }, withColumn('spent', 'bool'));
  expect(conflictsBetween([taker, boolean])[0]?.problem).toBe(
    'feature spent is a boolean, and a number for predictor taker: no event could send a value to both',
  );
  const uuid = definitionOf({ name: 'uuid' }, [{ name: 'user_id', type: 'uuid' }, ...columns.slice(1)]);
  expect(conflictsBetween([ignorer, uuid])[0]?.problem).toBe(
    'has user ids of type uuid, and predictor ignorer has int8',
  );
});
