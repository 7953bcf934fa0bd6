/**
 * A dense network of any width, for benchmarks that need a model of a known cost. Most of the cost is reading the weights,
 * which a run does once for all its users: a run of 32 users costs two to three times a run of one user, as with most
 * networks in production. (The cost of trees is nearly linear in the number of users.)
 */
import { floats, node } from './onnx-writer.ts';
import { scoreModel } from './score-model.ts';

interface DenseModel {
  /** Features a user, expected to lie between 0 and 1. */
  readonly width: number;
  /** Units of a layer: the cost of one user grows with its square. */
  readonly units: number;
  readonly layers: number;
}

/** `features` float32[N, width] → tanh layers → `score` float32[N, 1] between 0 and 1, another for each user. */
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

/** The same for the same layer, small enough that no unit saturates. From a linear congruential generator. */
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
