/**
 * A gradient-boosted model as converters export it (one TreeEnsembleRegressor of ai.onnx.ml), of any number of trees,
 * for benchmarks and tests that need a model of realistic cost. The trees are complete and split at random: what a user
 * costs depends on how many there are and how deep, not on what they were trained on.
 */
import { graph, model, node, value } from './onnx-writer.ts';

const FLOAT = 1;

export interface TreeModel {
  /** Features a user, expected to lie between 0 and 1. */
  readonly width: number;
  readonly trees: number;
  /** Splits from the root to a leaf. */
  readonly depth: number;
  /** 0 to 1. */
  readonly random: () => number;
}

/** `features` float32[N, width] → `score` float32[N, 1], the sum of a leaf a tree. */
export function treeModel({ width, trees, depth, random }: TreeModel): Buffer {
  const splits = 2 ** depth - 1;
  const nodes = 2 ** (depth + 1) - 1;
  const all = Array.from({ length: trees * nodes }, (_, at) => ({ tree: Math.floor(at / nodes), id: at % nodes }));
  const isLeaf = ({ id }: { id: number }) => id >= splits;
  const leaves = all.filter(isLeaf);
  const ofSplits = (give: (id: number) => number) => all.map((one) => (isLeaf(one) ? 0 : give(one.id)));
  const attributes = {
    n_targets: 1,
    nodes_treeids: all.map(({ tree }) => tree),
    nodes_nodeids: all.map(({ id }) => id),
    nodes_modes: all.map((one) => (isLeaf(one) ? 'LEAF' : 'BRANCH_LEQ')),
    nodes_featureids: ofSplits(() => Math.floor(random() * width)),
    nodes_values: { floats: ofSplits(random) },
    nodes_truenodeids: ofSplits((id) => 2 * id + 1),
    nodes_falsenodeids: ofSplits((id) => 2 * id + 2),
    target_treeids: leaves.map(({ tree }) => tree),
    target_nodeids: leaves.map(({ id }) => id),
    target_ids: leaves.map(() => 0),
    target_weights: { floats: leaves.map(() => (random() - 0.5) / trees) },
  };
  const ensemble = node('TreeEnsembleRegressor', ['features'], ['score'], attributes, 'ai.onnx.ml');
  return model(graph([ensemble], [], [value('features', FLOAT, ['N', width])], [value('score', FLOAT, ['N', 1])]));
}
