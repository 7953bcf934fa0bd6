import type { Categories, FeatureColumn, TensorType } from '@tandem/freshness/predictor';
import { RowsRefused } from '@tandem/prediction/scoring/scoring';
import { describe, expect, it } from 'vitest';
import { batchOf, toyPredictor } from '../live/toy-predictor.fixture.ts';
import { encodeInputs, joinInputs } from './batch-tensors.ts';

type Row = (number | string | null)[];

/** Returns the single input of a predictor with these columns. */
function encode(type: TensorType, columns: readonly FeatureColumn[], rows: readonly Row[]) {
  const input = { name: 'x', type, columns: columns.map(({ name }) => name) };
  const { version } = toyPredictor(Buffer.from('x'), columns, [input]);
  const [encoded] = encodeInputs(
    version.inputs,
    batchOf(version, rows),
    rows.map((_, row) => row),
  );
  return encoded;
}

function refusals(type: TensorType, columns: readonly FeatureColumn[], rows: readonly Row[]): [number, string][] {
  try {
    encode(type, columns, rows);
  } catch (error) {
    if (error instanceof RowsRefused) return [...error.rows];
    throw error;
  }
  return [];
}

const number: FeatureColumn = { name: 'age', kind: 'number' };
const plan = (more: Partial<FeatureColumn> & { categories?: Categories } = {}): FeatureColumn => ({
  name: 'plan',
  kind: 'string',
  ...more,
});
const values = ['free', 'plus', 'pro'];

describe('nulls', () => {
  it.each<[TensorType, number | 'nan', number]>([
    ['float32', 'nan', Number.NaN],
    ['float64', 'nan', Number.NaN],
    ['float32', -1, -1],
    ['int8', -1, -1],
    ['uint16', 7, 7],
  ])('of a column of kind %s count as the declared %s', (type, nullAs, expected) => {
    expect(encode(type, [{ ...number, nullAs }], [[3], [null]])?.data[1]).toBe(expected);
  });

  it('count as declared in 64-bit integers, in booleans and in float16', () => {
    expect(encode('int64', [{ ...number, nullAs: -5 }], [[null], [2]])?.data).toEqual(BigInt64Array.of(-5n, 2n));
    expect(encode('bool', [{ ...number, kind: 'boolean', nullAs: 1 }], [[null], [0]])?.data).toEqual(
      Uint8Array.of(1, 0),
    );
    expect(encode('float16', [{ ...number, nullAs: 'nan' }], [[null], [1]])?.data).toEqual(
      Uint16Array.of(0x7e00, 0x3c00),
    );
  });

  it('count as the declared text, and nan of a text column is a text', () => {
    expect(encode('string', [plan({ nullAs: 'none' })], [['pro'], [null]])?.data).toEqual(['pro', 'none']);
    expect(encode('string', [plan({ nullAs: 'nan' })], [[null]])?.data).toEqual(['nan']);
  });

  it('are rejected if not declared, and a NaN is not a null', () => {
    expect(refusals('float32', [number], [[1], [null]])).toEqual([
      [1, 'feature age of user 1 is null, which an input of type float32 cannot hold'],
    ]);
    expect(refusals('float32', [{ ...number, nullAs: 'nan' }], [[Number.NaN]])).toHaveLength(1);
    expect(refusals('int32', [{ ...number, nullAs: 'nan' }], [[null]])).toHaveLength(1);
  });
});

describe('categories', () => {
  const index: Categories = { values, encoding: 'index' };
  const oneHot: Categories = { values, encoding: 'one-hot' };

  it('become their index, from 0, in any numeric type', () => {
    const columns = [plan({ categories: index })];
    expect(encode('float32', columns, [['pro'], ['free']])?.data).toEqual(Float32Array.of(2, 0));
    expect(encode('int64', columns, [['pro'], ['free']])?.data).toEqual(BigInt64Array.of(2n, 0n));
    expect(encode('float16', columns, [['plus']])?.data).toEqual(Uint16Array.of(0x3c00));
  });

  it('become 1 among zeros, between the other columns', () => {
    const encoded = encode(
      'float32',
      [number, plan({ categories: oneHot }), { ...number, name: 'spent' }],
      [
        [31, 'plus', 0.5],
        [44, 'pro', 1.5],
      ],
    );
    expect(encoded?.width).toBe(5);
    expect(encoded?.data).toEqual(Float32Array.of(31, 0, 1, 0, 0.5, 44, 0, 0, 1, 1.5));
  });

  it.each([1, 40])('are the same for %i users, with both kinds of lookup', (users) => {
    const rows = Array.from({ length: users }, (_, i): Row => [values[i % 3] ?? '']);
    expect(Array.from(encode('float32', [plan({ categories: index })], rows)?.data as Float32Array)).toEqual(
      rows.map((_, i) => i % 3),
    );
  });

  it('encode an unknown text as declared', () => {
    const unknown = (categories: Categories) => encode('float32', [plan({ categories })], [['gold']])?.data;
    expect(unknown({ ...index, unknownAs: -1 })).toEqual(Float32Array.of(-1));
    expect(unknown({ ...index, unknownAs: 'nan' })).toEqual(Float32Array.of(Number.NaN));
    expect(unknown({ ...oneHot, unknownAs: 'zeros' })).toEqual(Float32Array.of(0, 0, 0));
  });

  it('encode a null as the text that it counts as, known or not', () => {
    const nulls = (nullAs: string, categories: Categories) =>
      encode('float32', [plan({ nullAs, categories })], [[null]])?.data;
    expect(nulls('plus', index)).toEqual(Float32Array.of(1));
    expect(nulls('none', { ...oneHot, unknownAs: 'zeros' })).toEqual(Float32Array.of(0, 0, 0));
  });

  it('reject an unknown text without a declared value, and name the categories and the setting', () => {
    expect(refusals('float32', [plan({ categories: index })], [['pro'], ['gold'], [null]])).toEqual([
      [
        1,
        `feature plan of user 1 is "gold", which is not one of its categories ("free", "plus", "pro"); set the value of an unknown text (features.categories.plan: unknown: a number or 'nan'), or return a category from the feature query`,
      ],
      [2, expect.stringContaining('feature plan of user 2 is null')],
    ]);
    expect(refusals('float32', [plan({ categories: oneHot })], [['gold']])[0]?.[1]).toContain("unknown: 'zeros'");
  });

  it('are only the listed texts, and no property names of objects', () => {
    expect(refusals('float32', [plan({ categories: index })], [['constructor'], ['__proto__']])).toHaveLength(2);
  });
});

describe('an input of rank 1', () => {
  it('has one value for each user, without a second dimension', () => {
    const columns = [number, plan()];
    const inputs = [
      { name: 'age', type: 'float32' as const, columns: ['age'], rank: 1 as const },
      { name: 'plan', type: 'string' as const, columns: ['plan'], rank: 1 as const },
    ];
    const { version } = toyPredictor(Buffer.from('x'), columns, inputs);
    const rows: Row[] = [
      [3, 'a'],
      [4, 'b'],
    ];
    const encoded = encodeInputs(version.inputs, batchOf(version, rows), [0, 1]);
    expect(joinInputs([encoded, encoded], 4)).toEqual([
      { name: 'age', type: 'float32', dims: [4], data: Float32Array.of(3, 4, 3, 4) },
      { name: 'plan', type: 'string', dims: [4], data: ['a', 'b', 'a', 'b'] },
    ]);
  });
});
