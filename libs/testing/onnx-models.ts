/**
 * Small ONNX models for tests: a toy that scores, and models that fail for certain rows, so that a test decides which
 * users are affected. Each takes `features` float32[N, k].
 */
import {
  BOOL,
  type Dim,
  ELEMENT,
  FLOAT,
  field,
  floats,
  graph,
  INT64,
  integers,
  message,
  model,
  node,
  raw,
  STRING,
  value,
} from './onnx-writer.ts';
import { scoreModel } from './score-model.ts';

/** Returns a valid model: sigmoid(features · weights + bias) → `score` float32[N,1]. */
export function linearModel(options: { weights: readonly number[]; bias?: number; batch?: Dim }): Buffer {
  const { weights, bias = 0, batch = 'N' } = options;
  const nodes = [node('Gemm', ['features', 'w', 'b'], ['z']), node('Sigmoid', ['z'], ['score'])];
  const constants = [floats('w', [weights.length, 1], weights), floats('b', [1], [bias])];
  return scoreModel(weights.length, nodes, constants, { batch });
}

/** Returns the answer of `linearModel` for a row, in float32. */
export function linearScore(weights: readonly number[], bias: number, row: readonly number[]): number {
  const z = weights.reduce((sum, weight, i) => sum + Math.fround(weight) * Math.fround(row[i] ?? 0), bias);
  return 1 / (1 + Math.exp(-z));
}

/**
 * Returns a model that loops as many times as the largest first feature of the batch (2^62: forever). The score is the
 * second feature.
 */
export function loopModel(): Buffer {
  const body = graph(
    [node('Identity', ['going'], ['on']), node('Add', ['sum', 'step'], ['next'])],
    [floats('step', [], [1])],
    [value('turn', INT64, []), value('going', BOOL, []), value('sum', FLOAT, [])],
    [value('on', BOOL, []), value('next', FLOAT, [])],
  );
  return scoreModel(
    2,
    [
      ...firstAndSecond(),
      node('ReduceMax', ['first'], ['most'], { keepdims: 0 }),
      node('Cast', ['most'], ['turns'], { to: INT64 }),
      node('Loop', ['turns', 'yes', 'zero'], ['total'], { body: { graph: body } }),
      node('Mul', ['total', 'zero'], ['nothing']),
      node('Add', ['second', 'nothing'], ['score']),
    ],
    [...indices(), floats('zero', [], [0]), raw('yes', BOOL, [], Buffer.from([1]))],
  );
}

/** Returns a model for the square root of the first feature, which is NaN for a negative feature. */
export function rootModel(): Buffer {
  return scoreModel(1, [node('Sqrt', ['features'], ['score'])], []);
}

/**
 * Returns a model that allocates and fills as many floats as the largest first feature. The score is the second
 * feature.
 */
export function memoryModel(): Buffer {
  return scoreModel(
    2,
    [
      ...firstAndSecond(),
      node('ReduceMax', ['first'], ['most'], { keepdims: 0 }),
      node('Cast', ['most'], ['size'], { to: INT64 }),
      node('Reshape', ['size', 'one'], ['shape']),
      node('ConstantOfShape', ['shape'], ['filled'], { value: { tensor: floats('', [1], [1]) } }),
      node('ReduceMax', ['filled'], ['top'], { keepdims: 0 }),
      node('Mul', ['top', 'zero'], ['nothing']),
      node('Add', ['second', 'nothing'], ['score']),
    ],
    [...indices(), integers('one', [1], [1]), floats('zero', [], [0])],
  );
}

/**
 * Returns a model with `score` float32[N] from a table of ten entries. The run throws if a first feature is not 0 to 9.
 */
export function tableModel(): Buffer {
  const table = Array.from({ length: 10 }, (_, i) => i / 10);
  return scoreModel(
    1,
    [
      node('Reshape', ['features', 'flat'], ['row']),
      node('Cast', ['row'], ['at'], { to: INT64 }),
      node('Gather', ['table', 'at'], ['score'], { axis: 0 }),
    ],
    [floats('table', [10], table), integers('flat', [1], [-1])],
    { output: ['N'] },
  );
}

/**
 * Returns a model that leaves out rows with a first feature of 100 or more, so that there are fewer scores than users.
 */
export function droppingModel(): Buffer {
  return scoreModel(
    2,
    [
      ...firstAndSecond(),
      node('Less', ['first', 'hundred'], ['low']),
      node('Reshape', ['low', 'flat'], ['kept']),
      node('Compress', ['second', 'kept'], ['score'], { axis: 0 }),
    ],
    [...indices(), floats('hundred', [], [100]), integers('flat', [1], [-1])],
    { output: ['M', 1] },
  );
}

/** Returns a model with `label` int64[N] and `probabilities` float32[N,2] of one feature. */
export function classifierModel(): Buffer {
  const nodes = [
    node('Sigmoid', ['features'], ['p']),
    node('Sub', ['one', 'p'], ['q']),
    node('Concat', ['q', 'p'], ['probabilities'], { axis: 1 }),
    node('ArgMax', ['probabilities'], ['label'], { axis: 1, keepdims: 0 }),
  ];
  const outputs = [value('label', INT64, ['N']), value('probabilities', FLOAT, ['N', 2])];
  return model(graph(nodes, [floats('one', [], [1])], [value('features', FLOAT, ['N', 1])], outputs));
}

/** Returns a model: `plan` string[N,1] (free 0, paid 1, others -1) plus `age` float32[N,1] → `score` float32[N,1]. */
export function textModel(): Buffer {
  const attributes = { keys_strings: ['free', 'paid'], values_floats: [0, 1], default_float: { float: -1 } };
  const encoder = node('LabelEncoder', ['plan'], ['code'], attributes, 'ai.onnx.ml');
  const inputs = [value('plan', STRING, ['N', 1]), value('age', FLOAT, ['N', 1])];
  const nodes = [encoder, node('Add', ['code', 'age'], ['score'])];
  return model(graph(nodes, [], inputs, [value('score', FLOAT, ['N', 1])]));
}

/** Returns a model that returns its input as `score`, in any element type. */
export function echoModel(type: string, width: number): Buffer {
  const element = ELEMENT[type] ?? FLOAT;
  const nodes = [node('Identity', ['features'], ['score'])];
  return model(graph(nodes, [], [value('features', element, ['N', width])], [value('score', element, ['N', width])]));
}

/** Returns a model that mixes rows: `score` [N,N] is each row multiplied by each row of the run. */
export function gramModel(): Buffer {
  const nodes = [node('Transpose', ['features'], ['turned']), node('MatMul', ['features', 'turned'], ['score'])];
  return model(graph(nodes, [], [value('features', FLOAT, ['N', 1])], [value('score', FLOAT, ['N', 'M'])]));
}

/** Returns a model that returns each input as an output `<name>_out` of the same type and shape. */
export function copyingModel(inputs: readonly { name: string; type: string; shape: readonly Dim[] }[]): Buffer {
  const nodes = inputs.map(({ name }) => node('Identity', [name], [`${name}_out`]));
  const values = (suffix: string) =>
    inputs.map(({ name, type, shape }) => value(`${name}${suffix}`, ELEMENT[type] ?? FLOAT, shape));
  return model(graph(nodes, [], values(''), values('_out')));
}

/** Returns a classifier as skl2onnx exports it by default, with probabilities as a sequence of maps. */
export function zipMapModel(): Buffer {
  const map = message(5, [field(1, INT64), message(2, [message(1, [field(1, FLOAT)])])]);
  const sequence = message(4, [message(1, [map])]);
  const output = Buffer.concat([field(1, 'score'), message(2, [sequence])]);
  const zip = node('ZipMap', ['features'], ['score'], { classlabels_int64s: [0, 1] }, 'ai.onnx.ml');
  return model(graph([zip], [], [value('features', FLOAT, ['N', 2])], [output]));
}

/** Returns a linear model with weights that are declared to be in another file. */
export function externalDataModel(path: string): Buffer {
  const entry = message(13, [field(1, 'location'), field(2, path)]);
  const weights = Buffer.concat([field(1, 1), field(1, 1), field(2, FLOAT), field(8, 'w'), entry, field(14, 1)]);
  return scoreModel(1, [node('MatMul', ['features', 'w'], ['score'])], [weights]);
}

/** Returns a model that needs an operator of a separate library. */
export function foreignModel(domain: string): Buffer {
  return scoreModel(1, [node('Backdoor', ['features'], ['score'], {}, domain)], []);
}

function firstAndSecond(): Buffer[] {
  return [
    node('Gather', ['features', 'at0'], ['first'], { axis: 1 }),
    node('Gather', ['features', 'at1'], ['second'], { axis: 1 }),
  ];
}

function indices(): Buffer[] {
  return [integers('at0', [1], [0]), integers('at1', [1], [1])];
}
