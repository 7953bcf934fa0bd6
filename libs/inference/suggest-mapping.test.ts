import { describe, expect, it } from 'vitest';
import type { SignatureTensor } from './protocol.ts';
import { suggestMapping } from './suggest-mapping.ts';

const columns = ['a', 'b'].map((name) => ({ name, kind: 'number' as const }));
const tensor = (name: string, shape: (string | number)[], type: string | null = 'float32'): SignatureTensor => ({
  name,
  type,
  shape,
});
const suggest = (inputs: SignatureTensor[], outputs: SignatureTensor[], field = 'score') =>
  suggestMapping({ predictor: 'p', signature: { inputs, outputs }, columns, outputs: { [field]: 'float32' } });

describe('suggestMapping', () => {
  it('fills one matrix with all columns, in its own type', () => {
    expect(suggest([tensor('x', ['N', 2], 'float64')], [tensor('score', ['N', 1])])).toEqual({
      inputs: [{ name: 'x', type: 'float64', columns: ['a', 'b'] }],
      outputs: [{ name: 'score', output: 'score', type: 'float32', width: null, index: 0 }],
    });
  });

  it('fills inputs called like the columns', () => {
    const { inputs } = suggest([tensor('b', ['N', 1]), tensor('a', ['N', 1])], [tensor('score', ['N'])]);
    expect(inputs.map(({ name, columns: own }) => [name, own])).toEqual([
      ['b', ['b']],
      ['a', ['a']],
    ]);
  });

  it('takes the only output of floating numbers under another name', () => {
    const { outputs } = suggest(
      [tensor('x', ['N', 2])],
      [tensor('label', ['N'], 'int64'), tensor('variable', ['N', 1])],
    );
    expect(outputs[0]?.output).toBe('variable');
  });

  it.each<[string, SignatureTensor[], SignatureTensor[], string]>([
    [
      'a matrix of another width',
      [tensor('x', ['N', 3])],
      [tensor('score', ['N'])],
      '3 values a user, but the feature query has 2 columns (a, b)',
    ],
    [
      'an input without a column',
      [tensor('a', ['N', 1]), tensor('c', ['N', 1])],
      [tensor('score', ['N'])],
      'no column of that name',
    ],
    ['a column without an input', [tensor('a', ['N', 1])], [tensor('score', ['N'])], 'none for the columns b'],
    [
      'several outputs that may be meant',
      [tensor('x', ['N', 2])],
      [tensor('u', ['N']), tensor('v', ['N'])],
      'not plain which',
    ],
    ['several values for one field', [tensor('x', ['N', 2])], [tensor('score', ['N', 3])], 'gives 3 values a user'],
    ['no inputs', [], [tensor('score', ['N'])], 'takes no inputs'],
    ['no outputs', [tensor('x', ['N', 2])], [], 'gives no outputs'],
  ])('refuses %s', (_, inputs, outputs, text) => {
    expect(() => suggest(inputs, outputs)).toThrow(text);
  });
});
