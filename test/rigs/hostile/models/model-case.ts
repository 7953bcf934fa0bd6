/**
 * A file of the corpus of hostile models: a function that makes it, always with the same bytes, and the expected
 * result. Each file takes `features` float32[N,2] and returns `score` float32[N,1], or claims to, or is not a model.
 */
import { floats, integers, type ModelHead, model, node } from '@tandem/testing/onnx-writer';
import { scoreGraph } from '@tandem/testing/score-model';

/**
 * The check that rejects a file:
 *
 * - `bytes`: the walk over the protobuf.
 * - `load`: the load by ONNX Runtime in a child process.
 * - `signature`: the check of inputs and outputs.
 * - `trial`: the check of the behaviour.
 * - `time` and `memory`: a limit, in any check.
 * - `served`: no check; the file passes all.
 */
export type ModelCheck = 'bytes' | 'load' | 'signature' | 'trial' | 'time' | 'memory' | 'served';

export interface ModelCase {
  readonly name: string;
  readonly bytes: () => Buffer;
  readonly check: ModelCheck;
  /** A part of the sentence that rejects the file. */
  readonly says: string;
}

export const refused = (check: Exclude<ModelCheck, 'served'>, name: string, says: string, bytes: () => Buffer) =>
  ({ name, bytes, check, says }) satisfies ModelCase;

export const served = (name: string, bytes: () => Buffer) =>
  ({ name, bytes, check: 'served', says: '' }) satisfies ModelCase;

/** The first feature, as column `first` float32[N,1]. */
export const FIRST = [node('Gather', ['features', 'at0'], ['first'], { axis: 1 })];
export const AT0 = integers('at0', [1], [0]);

/** Makes a sound model around nodes that compute `score` from `features` and `first`. */
export function around(nodes: readonly Buffer[], constants: readonly Buffer[] = [], head: ModelHead = {}): Buffer {
  return model(bodyOf([...FIRST, ...nodes], [AT0, ...constants]), head);
}

/**
 * Makes only the graph.
 * @param more further fields of the graph
 */
export function bodyOf(nodes: readonly Buffer[], constants: readonly Buffer[], more: readonly Buffer[] = []): Buffer {
  return Buffer.concat([scoreGraph(2, nodes, constants), ...more]);
}

/** Makes the sound model: sigmoid(features · weights). */
export function soundModel(head: ModelHead = {}): Buffer {
  const nodes = [node('MatMul', ['features', 'w'], ['z']), node('Sigmoid', ['z'], ['score'])];
  return model(bodyOf(nodes, [floats('w', [2, 1], [1, -1])]), head);
}

/** Makes a chain of `length` operators. */
export function chain(length: number): Buffer {
  const nodes = Array.from({ length }, (_, i) =>
    node('Neg', [i === 0 ? 'first' : `n${i}`], [i === length - 1 ? 'score' : `n${i + 1}`]),
  );
  return around(nodes);
}
