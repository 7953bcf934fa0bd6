import { expect, test } from 'vitest';
import { columns, definitionOf, input, problemsIn, signature, withColumn } from './adoptable.fixture.ts';
import type { ModelSignature } from './model-inputs.ts';
import type { QueryColumn } from './query-columns.ts';

test('a model that takes another number of features is refused with both numbers and the columns', () => {
  expect(problemsIn({}, columns, input(['batch', 12]))).toEqual([
    "predictors.churn.features.sql: the model takes 12 values a user in features float32 [batch, 12], and 2 columns give it (visits, spent) → select exactly the model's features, in its order",
  ]);
});

test('a model with an open number of features takes all columns', () => {
  expect(problemsIn({}, columns, input(['batch', null]))).toEqual([]);
});

test.each<[string, ModelSignature, string]>([
  [
    'a fixed number of users',
    input([1, 2]),
    "the input features float32 [1, 2] is exported for 1 user at a time, but many users are scored at once → export the model so that the first dimension is open: dynamic_axes={'features': {0: 'N'}} for torch.onnx.export, None in a TensorSpec for tf2onnx; or set rowByRow: true",
  ],
  [
    'eight users',
    input([8, 2]),
    "8 users at a time, but many users are scored at once → export the model so that the first dimension is open: dynamic_axes={'features': {0: 'N'}}",
  ],
  [
    'one user without a dimension for users',
    input([2]),
    'takes features float32 [2], the values of one user without a dimension for users → export it with an example of two dimensions',
  ],
  [
    'one dimension for two columns',
    input(['batch']),
    'takes features float32 [batch], one value a user, and there are 2 →',
  ],
  [
    'images',
    input(['batch', 3, 224, 224]),
    'takes features float32 [batch, 3, 224, 224], and features are one row of values a user',
  ],
  [
    'text',
    input(['batch', 2], 'string'),
    "column visits is of kind integer, and the model's input is features string [batch, 2] → cast it: visits::text",
  ],
  [
    'integers for a column of numbers',
    input(['batch', 2], 'int64'),
    "column spent is of kind number, and the model's input is features int64 [batch, 2] → cast it: spent::bigint as spent",
  ],
  ['booleans for an integer', input(['batch', 2], 'bool'), 'turn it into a boolean: (visits <> 0) as visits'],
  [
    'a sequence',
    { ...signature, inputs: [{ name: 'features', type: null, shape: [] }] },
    'takes features as a sequence or a map rather than a tensor',
  ],
  [
    'another element type',
    { ...signature, inputs: [{ name: 'features', type: 'complex64', shape: [null, 2] }] },
    'of an element type that features cannot fill',
  ],
  [
    'several inputs without a column of their name',
    { ...signature, inputs: [...signature.inputs, { name: 'b', type: 'int64', shape: [null, 1] }] },
    "churn.inputs: the model has 2 inputs (features float32 [batch, 2]; b int64 [?, 1]), no feature column has the name of an input, and the config does not say what fills them → name the columns as the inputs, or add inputs: { features: { type: 'float32', columns: […] }, b: { type: 'int64', columns: […] } }",
  ],
])('a model with inputs of %s is refused', (_, model, message) => {
  expect(problemsIn({}, columns, model).join('\n')).toContain(message);
});

test.each([
  ['a fixed number of users', [1, 2]],
  ['a user without users', [2]],
  ['series', ['batch', 5, 2]],
])('%s is reported once', (_, shape) => {
  expect(problemsIn({}, columns, { ...input(shape), outputs: signature.outputs })).toHaveLength(1);
});

test('with rowByRow, a model of one user at a time is accepted, and no other fixed number is', () => {
  expect(definitionOf({ rowByRow: true }, columns, input([1, 2])).rowByRow).toBe(true);
  expect(definitionOf()).not.toHaveProperty('rowByRow');
  expect(problemsIn({ rowByRow: true }, columns, input([8, 2]))[0]).toMatch(/for tf2onnx$/);
});

test('a single input of rank 1 takes one column', () => {
  const one: QueryColumn[] = columns.slice(0, 2);
  expect(definitionOf({}, one, input(['batch'])).inputs).toEqual([
    { name: 'features', type: 'float32', columns: ['visits'], rank: 1 },
  ]);
});

const named: ModelSignature = {
  ...signature,
  inputs: [
    { name: 'Visits', type: 'int64', shape: [null] },
    { name: 'spent', type: 'float32', shape: [null, 1] },
    { name: 'plan', type: 'string', shape: [null, 1] },
  ],
};
const described: QueryColumn[] = [...columns, { name: 'plan', type: 'text' }];

test('each of several inputs takes the column of its own name, case-insensitively', () => {
  expect(definitionOf({}, described, named).inputs).toEqual([
    { name: 'Visits', type: 'int64', columns: ['visits'], rank: 1 },
    { name: 'spent', type: 'float32', columns: ['spent'] },
    { name: 'plan', type: 'string', columns: ['plan'] },
  ]);
  const twice: ModelSignature = {
    ...named,
    inputs: [...named.inputs, { name: 'VISITS', type: 'int64', shape: [null, 1] }],
  };
  expect(problemsIn({}, described, twice).join('\n')).toContain("the model's input VISITS int64 [?, 1] needs a column");
});

test.each<[string, QueryColumn[], ModelSignature['inputs'], string[]]>([
  [
    'a misspelt column',
    [...columns, { name: 'plna', type: 'text' }],
    named.inputs,
    [
      "features.sql: the model's input plan string [?, 1] needs a column of the same name, and the query has none (it has plna) → name it with as: plna as plan, or declare it in request if each call sends it; or say what fills it: inputs: { plan: { type: 'string', columns: […] }, … } for all inputs; or export the model without that input",
      'features.sql: column plna fills no input, so it would have no effect → leave it out, or give it the name of its input',
    ],
  ],
  [
    'a name that is too long for a column',
    columns,
    [...named.inputs.slice(0, 2), { name: 'p'.repeat(64), type: 'string', shape: [null, 1] }],
    ['and the query has none → say what fills it: inputs: { ppp'],
  ],
  [
    'the name of the key',
    columns,
    [...named.inputs.slice(0, 2), { name: 'user_id', type: 'int64', shape: [null, 1] }],
    ["and the query has none → say what fills it: inputs: { user_id: { type: 'int64', columns: […] }, … }"],
  ],
  [
    'an input in capitals',
    columns,
    [...named.inputs.slice(0, 2), { name: 'Plan', type: 'string', shape: [null, 1] }],
    [
      'the model\'s input Plan string [?, 1] needs a column of the same name, and the query has none → select a column as "Plan"',
    ],
  ],
  [
    'a wider input',
    described,
    [...named.inputs.slice(0, 2), { name: 'plan', type: 'string', shape: [null, 4] }],
    ['features.sql: the model takes 4 values a user in plan string [?, 4], and 1 column gives it (plan)'],
  ],
  [
    'a sequence beside others',
    described,
    [...named.inputs, { name: 'state', type: null, shape: [] }],
    ['churn.model: the model takes state as a sequence or a map'],
  ],
  [
    'an image beside others',
    described,
    [...named.inputs, { name: 'photo', type: 'uint8', shape: [null, 3, 8, 8] }],
    ['churn.model: the model takes photo uint8 [?, 3, 8, 8], and features are one row of values a user'],
  ],
])('with several inputs, %s is reported', (_, query, inputs, messages) => {
  const problems = problemsIn({}, query, { ...signature, inputs });
  expect(problems).toHaveLength(messages.length);
  for (const [i, message] of messages.entries()) expect(problems[i]).toContain(message);
});

test('a column that fills no input is reported', () => {
  const query = [...described, { name: 'extra', type: 'int4' }];
  expect(problemsIn({}, query, named)).toEqual([
    'predictors.churn.features.sql: column extra fills no input, so it would have no effect → leave it out, or give it the name of its input',
  ]);
});

test('a text column does not fit a numeric model', () => {
  expect(problemsIn({}, withColumn('country', 'text'))[0]).toContain(
    'features.categories: { country: [ …its texts in order ] }, or turn country into a number',
  );
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
    "the model's input b int64 [?, 1] has no columns → add b: { type: 'int64', columns: […] }",
  );
  expect(problems).toContain(
    'inputs.a.columns: the query has no feature column spnt; it has visits, spent → did you mean spent?',
  );
  expect(problems).toContain('inputs.c: the model has no input c');
  expect(problems).toContain('column spent fills no input, so it would have no effect');
  expect(problemsIn({ inputs: [{ name: 'a', type: 'float64', columns: ['spent'] }] }, columns, model)[1]).toContain(
    "write 'float32'",
  );
  const sequence = { ...signature, inputs: [{ name: 'a', type: null, shape: [] }] };
  expect(
    problemsIn({ inputs: [{ name: 'a', type: 'float32', columns: ['visits', 'spent'] }] }, columns, sequence),
  ).toEqual([expect.stringContaining('takes a as a sequence or a map')]);
});
