/**
 * A gradient-boosted model as converters export it (one TreeEnsembleRegressor of ai.onnx.ml), with any number of trees,
 * for benchmarks and tests that need a realistic cost.
 */
import { type Boosting, boostTrees, type Tree } from './boosted-trees.ts';
import { node } from './onnx-writer.ts';
import { scoreModel } from './score-model.ts';

/** A node of a tree, with its index in the tree. */
type Placed =
  | { readonly tree: number; readonly id: number; readonly value: number }
  | {
      readonly tree: number;
      readonly id: number;
      readonly feature: number;
      readonly threshold: number;
      readonly low: number;
      readonly high: number;
    };

/** Returns a model: `features` float32[N, width] → `score` float32[N, 1], the sum of one leaf of each tree. */
export function treeModel(boosting: Boosting): Buffer {
  const all = boostTrees(boosting).flatMap(placeNodes);
  const leaves = all.filter((one) => 'value' in one);
  const attributes = {
    n_targets: 1,
    nodes_treeids: all.map(({ tree }) => tree),
    nodes_nodeids: all.map(({ id }) => id),
    nodes_modes: all.map((one) => ('value' in one ? 'LEAF' : 'BRANCH_LEQ')),
    nodes_featureids: all.map((one) => ('value' in one ? 0 : one.feature)),
    nodes_values: { floats: all.map((one) => ('value' in one ? 0 : one.threshold)) },
    nodes_truenodeids: all.map((one) => ('value' in one ? 0 : one.low)),
    nodes_falsenodeids: all.map((one) => ('value' in one ? 0 : one.high)),
    target_treeids: leaves.map(({ tree }) => tree),
    target_nodeids: leaves.map(({ id }) => id),
    target_ids: leaves.map(() => 0),
    target_weights: { floats: leaves.map((leaf) => leaf.value) },
  };
  const ensemble = node('TreeEnsembleRegressor', ['features'], ['score'], attributes, 'ai.onnx.ml');
  return scoreModel(boosting.width, [ensemble]);
}

/** Returns the nodes of a tree, root first. */
function placeNodes(root: Tree, tree: number): Placed[] {
  const placed: Placed[] = [];
  const place = (one: Tree): number => {
    const id = placed.length;
    // Reserves the place of the node itself, since its branches follow it.
    placed.push({ tree, id, value: 0 });
    placed[id] =
      'value' in one
        ? { tree, id, value: one.value }
        : { tree, id, feature: one.feature, threshold: one.threshold, low: place(one.low), high: place(one.high) };
    return id;
  };
  place(root);
  return placed;
}
