import { expect, test } from 'vitest';
import { columns, definitionOf, type Overrides, output, problemsIn, signature } from './adoptable.fixture.ts';
import type { ModelSignature } from './model-inputs.ts';

test.each<[string, Overrides, string]>([
  [
    'an unknown tensor',
    output('skore'),
    "outputs.score: the model has no output skore; it has score float32 [batch, 1]; probabilities float32 [?, 3] → write score: { from: 'score', type: 'float32' }",
  ],
  [
    'another type',
    output('score', { type: 'float64' }),
    "is declared float64, but the model gives score float32 [batch, 1] → write 'float32'",
  ],
  [
    'several values',
    output('probabilities'),
    'has 3 values for each user, but the config does not say which one to take → add index (0 to 2) for one of them, or width: 3 for all',
  ],
])('an output of %s is refused', (_, overrides, message) => {
  expect(problemsIn(overrides)).toHaveLength(1);
  expect(problemsIn(overrides)[0]).toContain(message);
});

const single = (name: string, shape: (number | string | null)[], type: string | null = 'float32'): ModelSignature => ({
  ...signature,
  outputs: [{ name, type, shape }],
});
const classifier: ModelSignature = {
  ...signature,
  outputs: [
    { name: 'output_label', type: 'int64', shape: [null] },
    { name: 'output_probability', type: 'float32', shape: [null, 2] },
  ],
};

test.each<[string, ModelSignature, Overrides, string]>([
  ['the only output', single('variable', [null, 1]), {}, "→ write score: { from: 'variable', type: 'float32' }"],
  [
    'the only output, of another type',
    single('output_1', [null], 'float64'),
    {},
    "→ write score: { from: 'output_1', type: 'float64' }",
  ],
  [
    'the only output of two values',
    single('p', [null, 2]),
    {},
    "→ write score: { from: 'p', type: 'float32', index: 1 }",
  ],
  [
    'the only output of five values',
    single('p', [null, 5]),
    {},
    "→ write score: { from: 'p', type: 'float32', index: … }",
  ],
  [
    'the output of the declared type',
    classifier,
    {},
    "→ write score: { from: 'output_probability', type: 'float32', index: 1 }",
  ],
  [
    'the output of a near name',
    classifier,
    output('output_lable', { type: 'int64' }),
    "→ write score: { from: 'output_label', type: 'int64' }",
  ],
])('if the tensor has another name, the remedy is the line for %s', (_, model, overrides, remedy) => {
  expect(problemsIn(overrides, columns, model)).toEqual([expect.stringContaining(remedy)]);
});

test('if the tensor of a similar name is a sequence of maps, the remedy says how to export without it', () => {
  const [first] = classifier.outputs;
  const outputs = [...(first ? [first] : []), { name: 'probabilities', type: null, shape: [] }];
  const problems = problemsIn(output('probability'), columns, { ...classifier, outputs });
  expect(problems).toEqual([
    expect.stringMatching(/^[^→]*has no output probability;[^→]*→ export it without ZipMap: .*zipmap/),
  ]);
});

test('names with quotes are written in the syntax of a config', () => {
  expect(problemsIn(output('x'), columns, single("it's", [null, 1]))).toEqual([
    expect.stringContaining(`→ write score: { from: "it's", type: 'float32' }`),
  ]);
});

test('a single output of maps is reported with the ways to export without it', () => {
  const problems = problemsIn({}, columns, single('score', [], null));
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatch(/^predictors\.churn\.outputs\.score: the model gives score as a sequence.*ZipMap/);
  expect(problems[0]).toContain("options={id(model): {'zipmap': False}}");
  expect(problems[0]).toContain('convert_lightgbm(…, zipmap=False)');
});

test.each<[string, (number | string | null)[], string]>([
  ['no shape', [], 'is one value for all users, or does not declare its shape → for one value per user, add index: 0'],
  [
    'an open width',
    [null, null],
    'does not declare how many values a user has, and the config does not say which one to take',
  ],
])('the config must declare an output of %s as one value or several', (_, shape, message) => {
  expect(problemsIn({}, columns, single('score', shape))[0]).toContain(message);
  expect(problemsIn(output('score', { index: 0 }), columns, single('score', shape))).toEqual([]);
  expect(problemsIn(output('score', { width: 3 }), columns, single('score', shape))).toEqual([]);
});

test('label, probabilities and top-k lists are accepted together, and float16 is widened to float32', () => {
  const model: ModelSignature = {
    ...signature,
    outputs: [
      ...classifier.outputs,
      { name: 'items', type: 'string', shape: ['N', 5] },
      { name: 'weights', type: 'float16', shape: ['N', 5] },
    ],
  };
  const field = { index: null, width: null };
  const outputs = [
    { ...field, name: 'label', from: 'output_label', type: 'int64' as const },
    { ...field, name: 'score', from: 'output_probability', type: 'float32' as const, index: 1 },
    { ...field, name: 'items', from: 'items', type: 'string' as const, width: 5 },
    { ...field, name: 'weights', from: 'weights', type: 'float32' as const, width: 5 },
  ];
  expect(
    definitionOf({ outputs }, columns, model).outputs.map(({ name, width, index }) => [name, width, index]),
  ).toEqual([
    ['label', null, 0],
    ['score', null, 1],
    ['items', 5, 0],
    ['weights', 5, 0],
  ]);
});

test.each<[string, (number | string | null)[]]>([
  ["LightGBM's label", [1]],
  ['an output of one row', [1, 1]],
  ['a first dimension without a name', ['', 1]],
])('%s is one value for each user, whatever its declared first dimension', (_, shape) => {
  expect(definitionOf({}, columns, single('score', shape)).outputs).toEqual([
    { name: 'score', output: 'score', type: 'float32', width: null, index: 0 },
  ]);
});

test('values beyond the declared ones are left to the trial: converters declare one value where a forest gives two', () => {
  const model = single('variable', ['', 1]);
  const second = output('variable', { index: 1 });
  expect(definitionOf(second, columns, model).outputs).toMatchObject([{ width: null, index: 1 }]);
  expect(definitionOf(output('variable', { width: 2 }), columns, model).outputs).toMatchObject([
    { width: 2, index: 0 },
  ]);
});

test('a dimension without a name is shown as open', () => {
  expect(problemsIn({}, columns, single('p', ['', 2]))[0]).toContain('it has p float32 [?, 2]');
});
