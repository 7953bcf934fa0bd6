/** Builds a model in the form of most tests: the input `features` float32[N, width] and the output `score`. */
import { type Dim, FLOAT, graph, model, value } from './onnx-writer.ts';

export interface ScoreShape {
  /** The dimension of the users, in the input and the output. */
  readonly batch?: Dim;
  readonly output?: readonly Dim[];
  /** The element type of the score. */
  readonly element?: number;
  /** Inputs in addition to the features. */
  readonly inputs?: readonly Buffer[];
}

/**
 * Returns the model.
 * @param nodes the nodes that compute `score` from `features`
 */
export function scoreModel(
  width: number,
  nodes: readonly Buffer[],
  constants: readonly Buffer[] = [],
  shape: ScoreShape = {},
): Buffer {
  return model(scoreGraph(width, nodes, constants, shape));
}

/** Returns only the graph. */
export function scoreGraph(
  width: number,
  nodes: readonly Buffer[],
  constants: readonly Buffer[] = [],
  { batch = 'N', output = [batch, 1], element = FLOAT, inputs = [] }: ScoreShape = {},
): Buffer {
  return graph(
    nodes,
    constants,
    [value('features', FLOAT, [batch, width]), ...inputs],
    [value('score', element, output)],
  );
}
