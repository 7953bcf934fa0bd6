/** Models that never end or exhaust the memory. Some fail when they run, others must be stopped. */
import * as hostile from '@tandem/testing/hostile-models';
import {
  BOOL,
  FLOAT,
  field,
  floats,
  graph,
  INT64,
  integers,
  node,
  raw,
  STRING,
  value,
} from '@tandem/testing/onnx-writer';
import { around, chain, type ModelCase, refused } from './model-case.ts';

const endless = (name: string, says: string, bytes: () => Buffer) => refused('time', name, says, bytes);
const greedy = (name: string, says: string, bytes: () => Buffer) => refused('memory', name, says, bytes);
const YES = raw('yes', BOOL, [], Buffer.from([1]));
const ZERO = floats('zero', [], [0]);
/** Makes the score depend on the largest value of `all`, so that no optimiser can remove `all`. */
const READ_ALL = [node('ReduceMax', ['all'], ['top'], { keepdims: 0 }), node('Mul', ['first', 'top'], ['score'])];
const loop = (body: Buffer, held: string) => node('Loop', ['turns', 'yes', held], ['total'], { body: { graph: body } });
const turns = (count: number) => integers('turns', [], [count]);

export const INSATIABLE: readonly ModelCase[] = [
  endless('a loop without a limit', 'no answer within 200 ms', () => hostile.endlessModel()),
  endless('a loop of 2^62 iterations', 'no answer within 200 ms', () =>
    around([loop(adding('sum'), 'zero'), node('Add', ['first', 'total'], ['score'])], [YES, ZERO, turns(2 ** 62)]),
  ),
  endless('nested loops of 2^40 iterations in total', 'no answer within 200 ms', () =>
    around(
      [loop(looping(), 'zero'), node('Add', ['first', 'total'], ['score'])],
      [YES, ZERO, turns(2 ** 20), integers('inner', [], [2 ** 20])],
    ),
  ),
  greedy('50 GB at once', 'allocate memory', () => hostile.allocatingModel(12_500_000_000)),
  greedy('300 MB at once, which the system allows', 'took more than 256 MB', () => hostile.allocatingModel(75_000_000)),
  greedy('memory that grows without limit', 'took more than 256 MB', () => hostile.growingModel()),
  endless('a text that doubles sixty times', 'had to be ended', () =>
    around(
      [
        loop(doubling(), 'letter'),
        node('StringNormalizer', ['total'], ['kept']),
        node('Size', ['kept'], ['n']),
        node('Cast', ['n'], ['f'], { to: FLOAT }),
        node('Add', ['first', 'f'], ['score']),
      ],
      [YES, turns(60), letter()],
      { opsets: { '': 20 } },
    ),
  ),
  greedy('a constant of 2^33 values, made when it runs', 'allocate memory', () => {
    const one = { value: { tensor: floats('', [1], [1]) } };
    return around([node('ConstantOfShape', ['size'], ['all'], one), ...READ_ALL], [integers('size', [1], [2 ** 33])]);
  }),
  greedy('a constant of a negative size', 'must have non-negative elements', () => {
    const one = { value: { tensor: floats('', [1], [1]) } };
    return around([node('ConstantOfShape', ['size'], ['all'], one), ...READ_ALL], [integers('size', [1], [-5])]);
  }),
  greedy('a tile of 2^60', 'Tile', () =>
    around([node('Tile', ['features', 'times'], ['all']), ...READ_ALL], [integers('times', [2], [2 ** 30, 2 ** 30])]),
  ),
  greedy('a range of 10^12', 'allocate memory', () =>
    around(
      [node('Range', ['from', 'to', 'step'], ['all']), ...READ_ALL],
      [floats('from', [], [0]), floats('to', [], [1e12]), floats('step', [], [1])],
    ),
  ),
  greedy('a range of infinity', 'Range', () =>
    around(
      [node('Range', ['from', 'to', 'step'], ['all']), ...READ_ALL],
      [floats('from', [], [0]), floats('to', [], [Number.POSITIVE_INFINITY]), floats('step', [], [1])],
    ),
  ),
  greedy('a matrix of 30,000 × 30,000 multiplied by itself', 'allocate memory', () =>
    around(
      [node('Expand', ['zero', 'size'], ['wide']), node('MatMul', ['wide', 'wide'], ['all']), ...READ_ALL],
      [ZERO, integers('size', [2], [30_000, 30_000])],
    ),
  ),
  greedy('an image of a billion pixels', 'Resize', () =>
    around(
      [
        node('Unsqueeze', ['features', 'front'], ['picture']),
        node('Resize', ['picture', '', 'scales'], ['all'], { mode: 'nearest' }),
        ...READ_ALL,
      ],
      [integers('front', [2], [0, 1]), floats('scales', [4], [1, 1, 30_000, 30_000])],
    ),
  ),
  greedy('a scan over a billion', 'allocate memory', () =>
    around(
      [
        node('Expand', ['zero', 'size'], ['many']),
        node('Scan', ['zero', 'many'], ['total'], { num_scan_inputs: 1, body: { graph: scanning() } }),
        node('Add', ['first', 'total'], ['score']),
      ],
      [ZERO, integers('size', [1], [1_000_000_000])],
    ),
  ),
  endless('a chain of 99,000 operators', 'loading the model had to be ended', () => chain(99_000)),
];

/** Makes a loop that adds `held` to itself in each iteration. */
function adding(held: string): Buffer {
  const inputs = [value(`${held} turn`, INT64, []), value(`${held} going`, BOOL, []), value(held, FLOAT, [])];
  const outputs = [value(`${held} on`, BOOL, []), value(`${held} next`, FLOAT, [])];
  const nodes = [node('Identity', [`${held} going`], [`${held} on`]), node('Add', [held, held], [`${held} next`])];
  return graph(nodes, [], inputs, outputs);
}

function looping(): Buffer {
  const inputs = [value('turn', INT64, []), value('going', BOOL, []), value('sum', FLOAT, [])];
  const inner = node('Loop', ['inner', 'going', 'sum'], ['next'], { body: { graph: adding('kept') } });
  const outputs = [value('on', BOOL, []), value('next', FLOAT, [])];
  return graph([node('Identity', ['going'], ['on']), inner], [], inputs, outputs);
}

function scanning(): Buffer {
  const inputs = [value('sum', FLOAT, []), value('one', FLOAT, [])];
  return graph([node('Add', ['sum', 'one'], ['next'])], [], inputs, [value('next', FLOAT, [])]);
}

function doubling(): Buffer {
  const inputs = [value('turn', INT64, []), value('going', BOOL, []), value('held', STRING, [1])];
  const nodes = [node('Identity', ['going'], ['on']), node('StringConcat', ['held', 'held'], ['more'])];
  return graph(nodes, [], inputs, [value('on', BOOL, []), value('more', STRING, [1])]);
}

/** Makes a constant with one text. Texts cannot be stored as raw bytes. */
function letter(): Buffer {
  return Buffer.concat([field(1, 1), field(2, STRING), field(6, 'x'), field(8, 'letter')]);
}
