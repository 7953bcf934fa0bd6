/** A model of the form that nearly every test takes: `features` float32[N, width] in, `score` out. */
import { type Dim, FLOAT, graph, model, value } from './onnx-writer.ts';

export interface ScoreShape {
  /** The users, of the input and the output. */
  readonly batch?: Dim;
  readonly output?: readonly Dim[];
  /** The element type of the score. */
  readonly element?: number;
  /** Inputs beside the features. */
  readonly inputs?: readonly Buffer[];
}

/** @param nodes make `score` of `features` */
export function scoreModel(
  width: number,
  nodes: readonly Buffer[],
  constants: readonly Buffer[] = [],
  shape: ScoreShape = {},
): Buffer {
  return model(scoreGraph(width, nodes, constants, shape));
}

/** The graph alone. */
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
