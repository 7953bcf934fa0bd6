/** Models that look dangerous but are sound, and must be served. */
import { nestedModel } from '@tandem/testing/hostile-models';
import { linearModel } from '@tandem/testing/onnx-models';
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
import { AT0, around, bodyOf, chain, FIRST, type ModelCase, served, soundModel } from './model-case.ts';

const property = (i: number) => message(14, [field(1, `key ${i}`), field(2, 'x')]);
const YES = raw('yes', BOOL, [], Buffer.from([1]));

export const SERVABLE: readonly ModelCase[] = [
  served('the sound model', () => soundModel()),
  served('a linear model', () => linearModel({ weights: [1, -1] })),
  served('the newest opset and format', () => soundModel({ ir: 13, opsets: { '': 26, 'ai.onnx.ml': 5 } })),
  served('an old opset', () => soundModel({ ir: 3, opsets: { '': 7 } })),
  served('an opset of a domain without operators', () => soundModel({ opsets: { '': 17, 'com.example.evil': 1 } })),
  served('unknown fields', () => Buffer.concat([soundModel(), field(1_000, 'x'), field(2_000, 7)])),
  served('a description of 10 MB', () => soundModel({ more: [field(6, 'x'.repeat(10_000_000))] })),
  served('a name of 10 MB', () =>
    around([Buffer.concat([node('Neg', ['first'], ['score']), field(3, 'n'.repeat(10_000_000))])]),
  ),
  served('50,000 properties', () => soundModel({ more: Array.from({ length: 50_000 }, (_, i) => property(i)) })),
  served('one property, 10,000 times', () => soundModel({ more: Array.from({ length: 10_000 }, () => property(1)) })),
  served('properties with JavaScript property names', () =>
    soundModel({ more: [message(14, [field(1, '__proto__'), field(2, 'x')])] }),
  ),
  served('a property with bytes that are not text', () =>
    soundModel({ more: [message(14, [field(1, Buffer.from([0xff, 0xfe]))])] }),
  ),
  // ONNX Runtime without training support ignores dropout.
  served('active dropout', () =>
    around(
      [node('Dropout', ['first', 'half', 'yes'], ['kept']), node('Neg', ['kept'], ['score'])],
      [YES, floats('half', [], [0.5])],
    ),
  ),
  served('2,000 constants that no node reads', () =>
    around(
      [node('Neg', ['first'], ['score'])],
      Array.from({ length: 2_000 }, (_, i) => floats(`c${i}`, [1], [i])),
    ),
  ),
  served('a chain of 1,000 operators', () => chain(1_000)),
  served('nodes in the wrong order', () =>
    model(bodyOf([node('Neg', ['a'], ['score']), node('Abs', ['first'], ['a']), ...FIRST], [AT0])),
  ),
  served('NaN constants that no node reads', () =>
    around([node('Neg', ['first'], ['score'])], [floats('never', [2], [Number.NaN, Number.POSITIVE_INFINITY])]),
  ),
  served('an empty constant', () => around([node('Neg', ['first'], ['score'])], [floats('none', [0], [])])),
  served('a loop of ten iterations', () =>
    around(
      [node('Loop', ['ten', 'yes', 'first'], ['score'], { body: { graph: loopBody() } })],
      [YES, integers('ten', [], [10])],
    ),
  ),
  served('graphs nested 16 deep', () => nestedModel(16)),
  served('names in Chinese and emoji', () =>
    around([node('Neg', ['first'], ['分数 😀']), node('Neg', ['分数 😀'], ['score'])]),
  ),
];

function loopBody(): Buffer {
  const inputs = [value('turn', INT64, []), value('going', BOOL, []), value('held', FLOAT, ['N', 1])];
  const nodes = [node('Identity', ['going'], ['on']), node('Neg', ['held'], ['next'])];
  return graph(nodes, [], inputs, [value('on', BOOL, []), value('next', FLOAT, ['N', 1])]);
}
