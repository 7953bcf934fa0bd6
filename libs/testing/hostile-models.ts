/**
 * ONNX files that should not be served, or only with care. Each one loads, or seems to, and then has one fault. Unless
 * stated otherwise, they take `features` float32[N,2] and return `score` float32[N,1].
 */
import {
  BOOL,
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
import { type ScoreShape, scoreModel } from './score-model.ts';

/** Returns a graph around nodes that compute `score`. */
const hostile = (nodes: readonly Buffer[], constants: readonly Buffer[] = [], shape: ScoreShape = {}) =>
  scoreModel(2, nodes, constants, shape);

const first = node('Gather', ['features', 'at0'], ['first'], { axis: 1 });
const at0 = integers('at0', [1], [0]);

/**
 * Returns a tree of two splits and two leaves.
 * @param trueIds the nodes that its splits lead to
 * @param feature the feature that they compare
 */
function splitModel(trueIds: readonly number[], feature: number): Buffer {
  const attributes = {
    n_targets: 1,
    nodes_treeids: [0, 0, 0, 0],
    nodes_nodeids: [0, 1, 2, 3],
    nodes_modes: ['BRANCH_LEQ', 'BRANCH_LEQ', 'LEAF', 'LEAF'],
    nodes_featureids: [feature, 0, 0, 0],
    nodes_values: { floats: [0, 0, 0, 0] },
    nodes_truenodeids: [...trueIds, 0, 0],
    nodes_falsenodeids: [2, 3, 0, 0],
    target_treeids: [0, 0],
    target_nodeids: [2, 3],
    target_ids: [0, 0],
    target_weights: { floats: [0.25, 0.75] },
  };
  return hostile([node('TreeEnsembleRegressor', ['features'], ['score'], attributes, 'ai.onnx.ml')]);
}

/** Returns a tree with a split that leads to itself, or to the split above it. */
export function cyclicTreeModel(length: 1 | 2): Buffer {
  return splitModel(length === 1 ? [0, 2] : [1, 0], 0);
}

/** Returns a tree with a split by a feature that does not exist. */
export function farFeatureModel(): Buffer {
  return splitModel([1, 2], 100_000_000);
}

/** Returns a model with the inputs `features` and `balance`. */
export function twoInputsModel(): Buffer {
  return hostile([first, node('Add', ['first', 'balance'], ['score'])], [at0], {
    inputs: [value('balance', FLOAT, ['N', 1])],
  });
}

/** Returns a model that returns a constant for every user. */
export function noInputsModel(): Buffer {
  const nodes = [node('Identity', ['half'], ['score'])];
  return model(graph(nodes, [floats('half', [1, 1], [0.5])], [], [value('score', FLOAT, [1, 1])]));
}

export function noOutputsModel(): Buffer {
  return model(graph([node('Sigmoid', ['features'], ['score'])], [], [value('features', FLOAT, ['N', 2])], []));
}

/** Returns a model that adds this many inputs. */
export function manyInputsModel(count: number): Buffer {
  const names = Array.from({ length: count }, (_, i) => `x${i}`);
  const inputs = names.map((name) => value(name, FLOAT, ['N', 1]));
  return model(graph([node('Sum', names, ['score'])], [], inputs, [value('score', FLOAT, ['N', 1])]));
}

/** Returns a model with an output of this name. */
export function namedOutputModel(name: string): Buffer {
  const nodes = [node('Sigmoid', ['features'], [name])];
  return model(graph(nodes, [], [value('features', FLOAT, ['N', 2])], [value(name, FLOAT, ['N', 2])]));
}

/** Returns a model that returns the first feature as a text. */
export function textOutputModel(): Buffer {
  return hostile([first, node('Cast', ['first'], ['score'], { to: STRING })], [at0], { element: STRING });
}

/** Returns a model that returns one mean for the whole batch, as a scalar. */
export function scalarModel(): Buffer {
  return hostile([node('ReduceMean', ['features'], ['score'], { keepdims: 0 })], [], { output: [] });
}

/** Returns a model that returns a sequence of tensors, which onnxruntime-node cannot return. */
export function sequenceModel(): Buffer {
  const tensor = message(1, [field(1, FLOAT)]);
  const output = Buffer.concat([field(1, 'score'), message(2, [message(4, [message(1, [tensor])])])]);
  const nodes = [node('SequenceConstruct', ['features'], ['score'])];
  return model(graph(nodes, [], [value('features', FLOAT, ['N', 2])], [output]));
}

/** Returns a model that returns one row more than users, with the last one repeated. */
export function oneMoreModel(): Buffer {
  return hostile(
    [first, node('Concat', ['first', 'extra'], ['score'], { axis: 0 })],
    [at0, floats('extra', [1, 1], [0])],
    {
      output: ['M', 1],
    },
  );
}

/** Returns a model that returns the users' scores in reverse order. */
export function reversedModel(): Buffer {
  return hostile(
    [first, node('Slice', ['first', 'last', 'before', 'rows', 'back'], ['score'])],
    [
      at0,
      integers('last', [1], [-1]),
      integers('before', [1], [-1_000_000]),
      integers('rows', [1], [0]),
      integers('back', [1], [-1]),
    ],
  );
}

/** Returns a model with random answers. With a seed, every session has the same series. */
export function randomModel(seed?: number): Buffer {
  const attributes = seed === undefined ? {} : { seed: { float: seed } };
  return hostile([first, node('RandomUniformLike', ['first'], ['score'], attributes)], [at0]);
}

/**
 * Returns a model that divides the first feature by the largest of the batch, like a dynamic scale. For a single user,
 * the result is always 1.
 */
export function batchScaledModel(): Buffer {
  return hostile(
    [
      first,
      node('ReduceMax', ['first'], ['most'], { keepdims: 0 }),
      node('Div', ['first', 'most'], ['share']),
      node('Sigmoid', ['share'], ['score']),
    ],
    [at0],
  );
}

/** Returns a model that returns NaN or infinity for every user. */
export function neverFiniteModel(never: number): Buffer {
  return hostile(
    [first, node('Mul', ['first', 'zero'], ['nothing']), node('Add', ['nothing', 'never'], ['score'])],
    [at0, floats('zero', [], [0]), floats('never', [], [never])],
  );
}

/** Returns a model that loops without end for any input. */
export function endlessModel(): Buffer {
  const body = graph(
    [node('Identity', ['going'], ['on']), node('Add', ['sum', 'step'], ['next'])],
    [floats('step', [], [0])],
    [value('turn', INT64, []), value('going', BOOL, []), value('sum', FLOAT, [])],
    [value('on', BOOL, []), value('next', FLOAT, [])],
  );
  return hostile(
    [
      first,
      node('Loop', ['', 'yes', 'zero'], ['total'], { body: { graph: body } }),
      node('Add', ['first', 'total'], ['score']),
    ],
    [at0, floats('zero', [], [0]), raw('yes', BOOL, [], Buffer.from([1]))],
  );
}

/** Returns a model that allocates this many floats at once, for any input. */
export function allocatingModel(values: number): Buffer {
  return hostile(
    [
      first,
      node('Expand', ['one', 'shape'], ['filled']),
      node('ReduceMax', ['filled'], ['top'], { keepdims: 0 }),
      node('Mul', ['first', 'top'], ['score']),
    ],
    [at0, floats('one', [1], [1]), integers('shape', [1], [values])],
  );
}

/** Returns a model that doubles a tensor without end. Only the last allocation is large. */
export function growingModel(): Buffer {
  const body = graph(
    [node('Identity', ['going'], ['on']), node('Concat', ['held', 'held'], ['more'], { axis: 0 })],
    [],
    [value('turn', INT64, []), value('going', BOOL, []), value('held', FLOAT, ['K'])],
    [value('on', BOOL, []), value('more', FLOAT, ['L'])],
  );
  return hostile(
    [
      first,
      node('Loop', ['', 'yes', 'one'], ['all'], { body: { graph: body } }),
      node('ReduceMax', ['all'], ['top'], { keepdims: 0 }),
      node('Mul', ['first', 'top'], ['score']),
    ],
    [at0, floats('one', [1], [1]), raw('yes', BOOL, [], Buffer.from([1]))],
  );
}

/** Returns a model that returns one score for each user as [N,1,1], without a declared shape. */
export function undeclaredShapeModel(): Buffer {
  const nodes = [first, node('Sigmoid', ['first'], ['flat']), node('Reshape', ['flat', 'deep'], ['score'])];
  const output = Buffer.concat([field(1, 'score'), message(2, [message(1, [field(1, FLOAT)])])]);
  return model(graph(nodes, [at0, integers('deep', [3], [-1, 1, 1])], [value('features', FLOAT, ['N', 2])], [output]));
}

/** Returns a model with an If inside an If, to this depth. */
export function nestedModel(depth: number): Buffer {
  let inner = [node('Identity', ['features'], ['branch0'])];
  for (let level = 1; level <= depth; level++) {
    const then = { graph: graph(inner, [], [], [value(`branch${level - 1}`, FLOAT, ['N', 2])]) };
    const otherwise = {
      graph: graph([node('Neg', ['features'], [`no${level}`])], [], [], [value(`no${level}`, FLOAT, ['N', 2])]),
    };
    inner = [node('If', ['yes'], [`branch${level}`], { then_branch: then, else_branch: otherwise })];
  }
  const nodes = [...inner, node('Gather', [`branch${depth}`, 'at0'], ['score'], { axis: 1 })];
  return hostile(nodes, [at0, raw('yes', BOOL, [], Buffer.from([1]))]);
}
