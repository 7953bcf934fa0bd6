import type { TensorType } from '@tandem/freshness/predictor';
import { RowsRefused } from '@tandem/prediction/scoring/scoring';
import { describe, expect, it } from 'vitest';
import { batchOf, matrixPredictor, toyPredictor } from '../live/toy-predictor.fixture.ts';
import { cutInputs, encodeInputs, joinInputs } from './batch-tensors.ts';

function encode(type: TensorType, rows: (number | string | null)[][], picked = rows.map((_, i) => i)) {
  const { version } = matrixPredictor(Buffer.from('x'), rows[0]?.length ?? 0, { type });
  return encodeInputs(version.inputs, batchOf(version, rows), picked)[0]?.data;
}

describe('encodeInputs', () => {
  it('puts the selected rows one after the other, with columns in order', () => {
    expect(
      encode(
        'float32',
        [
          [1, 2],
          [3, 4],
          [5, 6],
        ],
        [2, 0],
      ),
    ).toEqual(Float32Array.of(5, 6, 1, 2));
    expect(
      encode(
        'string',
        [
          ['a', 'b'],
          ['c', 'd'],
        ],
        [1, 0],
      ),
    ).toEqual(['c', 'd', 'a', 'b']);
  });

  it('fills a named input for each column', () => {
    const columns = [
      { name: 'age', kind: 'integer' as const },
      { name: 'plan', kind: 'string' as const },
    ];
    const inputs = [
      { name: 'p', type: 'string' as const, columns: ['plan'] },
      { name: 'a', type: 'int64' as const, columns: ['age'] },
    ];
    const { version } = toyPredictor(Buffer.from('x'), columns, inputs);
    const encoded = encodeInputs(version.inputs, batchOf(version, [[31, 'free']]), [0]);
    expect(encoded.map(({ name, data }) => [name, data])).toEqual([
      ['p', ['free']],
      ['a', BigInt64Array.of(31n)],
    ]);
  });

  it.each<[TensorType, number[], number[]]>([
    ['int8', [-128, 127], [-129, 128, 0.5]],
    ['uint8', [0, 255], [-1, 256, 1.5]],
    ['int16', [-32_768, 32_767], [-32_769, 32_768]],
    ['uint16', [0, 65_535], [-1, 65_536]],
    ['int32', [-(2 ** 31), 2 ** 31 - 1], [-(2 ** 31) - 1, 2 ** 31]],
    ['uint32', [0, 2 ** 32 - 1], [-1, 2 ** 32]],
    ['int64', [-(2 ** 53) + 1, 2 ** 53 - 1], [2 ** 53, -(2 ** 53), 0.5]],
    ['uint64', [0, 2 ** 53 - 1], [-1, 2 ** 53]],
    ['bool', [0, 1], [2, -1, 0.5]],
    ['float16', [65_504, -65_504], [65_520, -65_520]],
    ['float32', [3.4028234663852886e38, 1e-50], [3.5e38, -1e39]],
    ['float64', [1.7e308], []],
  ])('%s accepts only values that it can hold exactly or within its precision', (type, held, refused) => {
    for (const value of held) expect(() => encode(type, [[value]])).not.toThrow();
    for (const value of [...refused, Number.NaN, Number.POSITIVE_INFINITY, null, 'x']) {
      expect(() => encode(type, [[value]])).toThrow(`which an input of type ${type} cannot hold`);
    }
  });

  it('names column, user and value of a rejected value', () => {
    expect(() =>
      encode('float32', [
        [1, 2],
        [3, Number.NaN],
      ]),
    ).toThrow('feature f1 of user 1 is NaN');
    expect(() => encode('string', [[7]])).toThrow('feature f0 of user 0 is 7');
  });

  it('names no user for a row that belongs to none', () => {
    const { version } = matrixPredictor(Buffer.from('x'), 1, { type: 'int32' });
    const batch = { ...batchOf(version, [[0.5]]), userIds: [''] };
    expect(() => encodeInputs(version.inputs, batch, [0])).toThrow('feature f0 is 0.5, which');
  });

  it('names every rejected row, not only the first', () => {
    const rows = [[1], [2 ** 40], [3], [0.5], [5]];
    const error = (() => {
      try {
        return encode('int32', rows);
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(RowsRefused);
    expect([...(error as RowsRefused).rows]).toEqual([
      [1, 'feature f0 of user 1 is 1099511627776, which an input of type int32 cannot hold'],
      [3, 'feature f0 of user 3 is 0.5, which an input of type int32 cannot hold'],
    ]);
    expect(error).toMatchObject({ code: 'features_unusable' });
    expect([...(error as RowsRefused).unusable]).toEqual([
      [1, ['f0']],
      [3, ['f0']],
    ]);
  });

  it('writes float16 as bits', () => {
    expect(encode('float16', [[1, -2, 0.5]])).toEqual(Uint16Array.of(0x3c00, 0xc000, 0x3800));
  });

  it('fills twelve float columns of 5,000 rows at a few times the cost of a plain loop over their numbers', () => {
    const rows = Array.from({ length: 5_000 }, (_, row) => Array.from({ length: 12 }, (_, column) => row + column / 8));
    const { version } = matrixPredictor(Buffer.from('x'), 12);
    const batch = batchOf(version, rows);
    const picked = rows.map((_, i) => i);
    const bare = () => {
      const data = new Float32Array(5_000 * 12);
      for (const [column, values] of batch.values.entries()) {
        for (let row = 0; row < values.length; row++) data[row * 12 + column] = Number(values[row]);
      }
      return data;
    };
    const fill = () => encodeInputs(version.inputs, batch, picked)[0]?.data;
    expect(fill()).toEqual(bare());
    // The loops alternate and the best of many times counts, since the machine may be busy. Measured: 2.7 times.
    const rounds = Array.from({ length: 40 }, () => [timeOf(fill), timeOf(bare)] as const);
    const [best, bestBare] = [Math.min(...rounds.map(([ms]) => ms)), Math.min(...rounds.map(([, ms]) => ms))];
    expect(best / bestBare).toBeLessThan(20);
  });
});

/** Returns the duration of the work in ms. */
function timeOf(work: () => unknown): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

describe('cutInputs and joinInputs', () => {
  it('are the rows of several requests in order', () => {
    const { version } = matrixPredictor(Buffer.from('x'), 2);
    const whole = encodeInputs(
      version.inputs,
      batchOf(version, [
        [1, 2],
        [3, 4],
        [5, 6],
      ]),
      [0, 1, 2],
    );
    const [joined] = joinInputs([cutInputs(whole, 2, 1), cutInputs(whole, 0, 2)], 3);
    expect(joined).toEqual({
      name: 'features',
      type: 'float32',
      dims: [3, 2],
      data: Float32Array.of(5, 6, 1, 2, 3, 4),
    });
  });
});
