/** Invalid graphs, which ONNX Runtime rejects in a child process without ending the child. */
import { cyclicTreeModel } from '@tandem/testing/hostile-models';
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
  value,
} from '@tandem/testing/onnx-writer';
import { AT0, around, bodyOf, FIRST, type ModelCase, refused } from './model-case.ts';

const bad = (name: string, says: string, bytes: () => Buffer) => refused('load', name, says, bytes);
const YES = raw('yes', BOOL, [], Buffer.from([1]));
export const UNLOADABLE: readonly ModelCase[] = [
  bad('an empty graph', 'the model cannot be loaded', () => model(message(2, []))),
  bad('a node without an operator', "Field 'op_type'", () => around([node('', ['first'], ['score'])])),
  bad('an unknown operator', 'No Op registered for NoSuchOperator', () =>
    around([node('NoSuchOperator', ['first'], ['score'])]),
  ),
  bad('an operator of a later opset', 'No Op registered for Gelu', () => around([node('Gelu', ['first'], ['score'])])),
  bad('an operator of a domain without an opset', 'Empty scale', () =>
    around([node('Scaler', ['first'], ['score'], {}, 'ai.onnx.ml')], [], { opsets: { '': 17 } }),
  ),
  bad('a tensor that no node produces', 'ghost', () => around([node('Add', ['first', 'ghost'], ['score'])])),
  bad('two nodes that depend on each other', 'not acyclic', () =>
    around([node('Add', ['first', 'b'], ['a']), node('Neg', ['a'], ['b']), node('Neg', ['b'], ['score'])]),
  ),
  bad('a node that depends on itself', 'not acyclic', () => around([node('Add', ['first', 'score'], ['score'])])),
  bad('two nodes with the same output', 'score', () =>
    around([node('Neg', ['first'], ['score']), node('Abs', ['first'], ['score'])]),
  ),
  bad('two inputs with the same name', 'features', () =>
    model(
      graph(
        [node('Add', ['features', 'features'], ['score'])],
        [],
        [value('features', FLOAT, ['N', 2]), value('features', FLOAT, ['N', 2])],
        [value('score', FLOAT, ['N', 2])],
      ),
    ),
  ),
  bad('a node that writes to an input', 'features', () =>
    around([node('Neg', ['first'], ['features']), node('Neg', ['first'], ['score'])]),
  ),
  bad('an output that no node produces', 'Graph output (score) does not exist', () =>
    around([node('Neg', ['first'], ['other'])]),
  ),
  bad('an output of another type', 'does not match expected type', () =>
    around([node('Cast', ['first'], ['score'], { to: INT64 })]),
  ),
  bad('an input without a type', 'does not have type information', () =>
    model(
      graph(
        [...FIRST, node('Neg', ['first'], ['score'])],
        [AT0],
        [field(1, 'features')],
        [value('score', FLOAT, ['N', 1])],
      ),
    ),
  ),
  bad('an input of an unknown type', 'Invalid tensor data type 99', () =>
    model(
      graph(
        [node('Neg', ['features'], ['score'])],
        [],
        [value('features', 99, ['N', 2])],
        [value('score', FLOAT, ['N', 2])],
      ),
    ),
  ),
  bad('integers added to floats', 'Type', () =>
    around([node('Add', ['first', 'n'], ['score'])], [integers('n', [1], [1])]),
  ),
  bad('too few inputs', 'MatMul', () => around([node('MatMul', ['first'], ['score'])])),
  bad('too many inputs', 'Neg', () => around([node('Neg', ['first', 'first'], ['score'])])),
  bad('a missing attribute', "Required attribute 'to'", () => around([node('Cast', ['first'], ['score'])])),
  bad('an attribute of another type', 'Gather', () =>
    around([node('Gather', ['first', 'at0'], ['score'], { axis: 'one' })]),
  ),
  bad('an unknown type', 'does not specify a valid type', () =>
    around([node('Cast', ['first'], ['score'], { to: 99 })]),
  ),
  bad('an unknown axis', 'axis', () => around([node('Concat', ['first', 'first'], ['score'], { axis: 7 })])),
  bad('matrices of incompatible shapes', 'Incompatible dimensions', () =>
    around([node('MatMul', ['features', 'w'], ['score'])], [floats('w', [3, 1], [1, 2, 3])]),
  ),
  bad('a constant without a value', 'the model cannot be loaded', () =>
    around([node('Constant', [], ['c']), node('Mul', ['first', 'c'], ['score'])]),
  ),
  bad('a loop without a body', 'body', () => around([node('Loop', ['', 'yes', 'first'], ['score'])], [YES])),
  bad('a branch of two', 'else_bra', () =>
    around([node('If', ['yes'], ['score'], { then_branch: { graph: branch('Neg') } })], [YES]),
  ),
  bad('a branch without an output', "Field 'name' of 'graph'", () =>
    around(
      [
        node('If', ['yes'], ['score'], {
          then_branch: { graph: branch('Neg') },
          else_branch: { graph: Buffer.alloc(0) },
        }),
      ],
      [YES],
    ),
  ),
  bad('a tree that points to itself', 'cannot point to itself', () => tree({ trueIds: [0, 0, 0] })),
  bad('a tree with fewer values than nodes', 'nodes_values', () => tree({ values: [0] })),
  bad('a tree of an unknown mode', 'Unexpected value for node_mode', () =>
    tree({ modes: ['BRANCH_SIDEWAYS', 'LEAF', 'LEAF'] }),
  ),
  bad('a tree with missing leaves', 'Unable to find node', () => tree({ targets: [7, 8] })),
  bad('a name with a terminal escape sequence', 'begins with', () => escapeModel()),
  bad('a tree with two splits that point to each other', 'the model cannot be loaded', () => cyclicTreeModel(2)),
];

function branch(operator: string): Buffer {
  return graph([node(operator, ['first'], ['b'])], [], [], [value('b', FLOAT, ['N', 1])]);
}

function escapeModel(): Buffer {
  const nodes = [...FIRST, node('Neg', ['first'], ['\u001b[2J'])];
  return model(graph(nodes, [AT0], [value('features', FLOAT, ['N', 2])], [value('\u001b[2J', FLOAT, ['N', 1])]));
}

interface Tree {
  readonly trueIds?: readonly number[];
  readonly values?: readonly number[];
  readonly modes?: readonly string[];
  readonly targets?: readonly number[];
}

/** Makes a tree with one split and two leaves, with the given changes. */
function tree({
  trueIds = [1, 0, 0],
  values = [0, 0, 0],
  modes = ['BRANCH_LEQ', 'LEAF', 'LEAF'],
  targets = [1, 2],
}: Tree): Buffer {
  const attributes = {
    n_targets: 1,
    nodes_treeids: [0, 0, 0],
    nodes_nodeids: [0, 1, 2],
    nodes_modes: modes,
    nodes_featureids: [0, 0, 0],
    nodes_values: { floats: values },
    nodes_truenodeids: trueIds,
    nodes_falsenodeids: [2, 0, 0],
    target_treeids: [0, 0],
    target_nodeids: targets,
    target_ids: [0, 0],
    target_weights: { floats: [0.25, 0.75] },
  };
  return model(bodyOf([node('TreeEnsembleRegressor', ['features'], ['score'], attributes, 'ai.onnx.ml')], []));
}
