/** Models that load, but whose inputs or outputs cannot be used. */
import * as hostile from '@tandem/testing/hostile-models';
import { FLOAT, floats, graph, INT64, integers, model, node, STRING, value } from '@tandem/testing/onnx-writer';
import { AT0, around, FIRST, type ModelCase, refused } from './model-case.ts';

const unfit = (name: string, says: string, bytes: () => Buffer) => refused('signature', name, says, bytes);
const failing = (name: string, says: string, bytes: () => Buffer) => refused('trial', name, says, bytes);
const score = (element: number, shape: readonly (number | string)[]) => [value('score', element, shape)];
const FEATURES = [value('features', FLOAT, ['N', 2])];
/** Makes a model like `around`, with another declaration of the output. */
const giving = (nodes: Buffer[], constants: Buffer[], outputs: Buffer[]) =>
  model(graph([...FIRST, ...nodes], [AT0, ...constants], FEATURES, outputs));

export const UNFIT: readonly ModelCase[] = [
  unfit('no inputs', 'takes no inputs', () => hostile.noInputsModel()),
  unfit('no outputs', 'gives no outputs', () => hostile.noOutputsModel()),
  unfit('a second input', 'balance', () => hostile.twoInputsModel()),
  unfit('four thousand inputs', '4096 inputs', () => hostile.manyInputsModel(4_096)),
  unfit('another name for its input', "does not fill the model's input x", () =>
    model(graph([node('Neg', ['x'], ['score'])], [], [value('x', FLOAT, ['N', 2])], score(FLOAT, ['N', 2]))),
  ),
  unfit('texts for numbers', 'fills features as float32', () =>
    model(
      graph(
        [node('Cast', ['features'], ['score'], { to: FLOAT })],
        [],
        [value('features', STRING, ['N', 2])],
        score(FLOAT, ['N', 2]),
      ),
    ),
  ),
  unfit('three features', 'takes 3 values a user', () =>
    model(
      graph(
        [node('ReduceMean', ['features'], ['score'], { axes: [1] })],
        [],
        [value('features', FLOAT, ['N', 3])],
        score(FLOAT, ['N', 1]),
      ),
    ),
  ),
  unfit('a sequence', 'a sequence of maps, or of tensors', () => hostile.sequenceModel()),
  unfit('a score of texts', 'is declared float32', () => hostile.textOutputModel()),
  failing('one answer for all', 'gave one value without rows in output score', () => hostile.scalarModel()),
  failing('one row more than users', 'gave 2 rows of output score for 1 user', () => hostile.oneMoreModel()),
  failing('rows in reverse', 'depends on the other users', () => hostile.reversedModel()),
  failing('a scale computed over the batch', 'depends on the other users', () => hostile.batchScaledModel()),
  failing('random answers', 'are random', () => hostile.randomModel()),
  failing('random answers with a fixed seed', 'are random', () => hostile.randomModel(7)),
  failing('NaN for every user', 'score is NaN', () => hostile.neverFiniteModel(Number.NaN)),
  failing('infinity for every user', 'score is Infinity', () => hostile.neverFiniteModel(Number.POSITIVE_INFINITY)),
  failing('minus infinity for every user', 'score is -Infinity', () =>
    hostile.neverFiniteModel(Number.NEGATIVE_INFINITY),
  ),
  failing('zero divided by zero', 'score is NaN', () =>
    around([node('Sub', ['first', 'first'], ['zero']), node('Div', ['zero', 'zero'], ['score'])]),
  ),
  failing('a whole number divided by zero', 'running Div node', () =>
    around([
      node('Cast', ['first'], ['n'], { to: INT64 }),
      node('Sub', ['n', 'n'], ['zero']),
      node('Div', ['n', 'zero'], ['q']),
      node('Cast', ['q'], ['score'], { to: FLOAT }),
    ]),
  ),
  failing('a split by a missing feature', 'requests feature 100000000', () => hostile.farFeatureModel()),
  failing('an index out of range', 'indices element out of data bounds', () =>
    around(
      [
        node('Cast', ['first'], ['n'], { to: INT64 }),
        node('Add', ['n', 'far'], ['at']),
        node('Gather', ['table', 'at'], ['score']),
      ],
      [integers('far', [1], [1_000_000]), floats('table', [2], [0, 1])],
    ),
  ),
  failing('a shape that depends on a feature', 'gave 2 rows of output score for 1 user', () =>
    giving(
      [node('NonZero', ['first'], ['at']), node('Cast', ['at'], ['score'], { to: FLOAT })],
      [],
      score(FLOAT, ['K', 'L']),
    ),
  ),
];
