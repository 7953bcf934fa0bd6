/**
 * A dense network of any width, for benchmarks that need a model of a known cost. Most of the cost is reading the
 * weights, which a run does once for all its users. A run of 32 users costs two to three times as much as a run of one
 * user, as with most networks in production. (The cost of trees is nearly linear in the number of users.)
 */
import { floats, node } from './onnx-writer.ts';
import { scoreModel } from './score-model.ts';

interface DenseModel {
  /** The number of features of a user, which should be between 0 and 1. */
  readonly width: number;
  /** The units of a layer. The cost of a user grows with the square of this number. */
  readonly units: number;
  readonly layers: number;
}

/**
 * Returns a model: `features` float32[N, width] → tanh layers → `score` float32[N, 1] between 0 and 1, different for
 * each user.
 */
export function denseModel({ width, units, layers }: DenseModel): Buffer {
  const nodes: Buffer[] = [];
  const weights: Buffer[] = [];
  let [input, inputs] = ['features', width];
  for (let layer = 1; layer <= layers; layer++) {
    weights.push(floats(`w${layer}`, [inputs, units], weightsOf(layer, inputs, units)));
    nodes.push(node('MatMul', [input, `w${layer}`], [`z${layer}`]), node('Tanh', [`z${layer}`], [`a${layer}`]));
    [input, inputs] = [`a${layer}`, units];
  }
  weights.push(floats('w', [inputs, 1], weightsOf(0, inputs, 1)));
  nodes.push(node('MatMul', [input, 'w'], ['z']), node('Sigmoid', ['z'], ['score']));
  return scoreModel(width, nodes, weights);
}

/**
 * Returns the weights of a layer, from a linear congruential generator. They are always the same, and small enough that
 * no unit saturates.
 */
function weightsOf(layer: number, inputs: number, units: number): Float32Array {
  const scale = 2 / Math.sqrt(inputs);
  const weights = new Float32Array(inputs * units);
  let state = layer + 1;
  for (let i = 0; i < weights.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    weights[i] = (state / 2 ** 31) * scale;
  }
  return weights;
}
