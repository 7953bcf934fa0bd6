import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeOutputs, type EncodedBatch, encodeBatch, encodeOutputs, outputFault } from './outputs.ts';
import type { OutputField } from './predictor.ts';

const score: OutputField = { name: 'score', output: 'score', type: 'float32', width: null, index: 0 };

/** Returns for each row its fault, or its bytes in hex. */
const encodedRows = ({ bytes, offsets, faults }: EncodedBatch) =>
  Array.from({ length: offsets.length - 1 }, (_, row) => {
    const own = bytes.toString('hex', offsets[row], offsets[row + 1]);
    return own === '' ? faults.get(row) : own;
  });

describe('outputs', () => {
  it('decode to the encoded values, for every field of every type', () => {
    const fields: OutputField[] = [
      score,
      { name: 'probabilities', output: 'p', type: 'float64', width: 2, index: 1 },
      { name: 'label', output: 'label', type: 'int64', width: null, index: 0 },
      { name: 'churns', output: 'churns', type: 'bool', width: null, index: 0 },
      { name: 'segment', output: 'segment', type: 'string', width: null, index: 0 },
    ];
    const row = fc.record({
      score: fc.float({ noNaN: true, noDefaultInfinity: true }),
      p: fc.tuple(
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
      ),
      label: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      churns: fc.boolean(),
      segment: fc.string({ unit: 'grapheme' }),
    });
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 8 }), (rows) => {
        const tensors = {
          score: { data: Float32Array.from(rows, (one) => one.score), width: 1 },
          p: { data: Float64Array.from(rows.flatMap((one) => [0.5, ...one.p])), width: 3 },
          label: { data: BigInt64Array.from(rows, (one) => one.label), width: 1 },
          churns: { data: rows.map((one) => one.churns), width: 1 },
          segment: { data: rows.map((one) => one.segment), width: 1 },
        };
        rows.forEach((one, i) => {
          const decoded = decodeOutputs(fields, encodeOutputs(fields, tensors, i));
          // A float32's -0 is decoded as 0: JSON does not distinguish them either.
          expect(Math.fround(Number(decoded.score)) + 0).toBe(Math.fround(one.score) + 0);
          expect(decoded.probabilities).toEqual([...one.p]);
          expect(String(decoded.label)).toBe(one.label.toString());
          expect(decoded.churns).toBe(one.churns);
          expect(decoded.segment).toBe(one.segment);
        });
      }),
    );
  });

  it('give the same bytes or fault for a row in a batch as for the row alone', () => {
    const vector: OutputField = { name: 'vector', output: 'v', type: 'float32', width: 2, index: 1 };
    const values = fc.array(fc.float({ noDefaultInfinity: false }), { minLength: 4, maxLength: 40 });
    // Scores as plain numbers take the code path of the types that are not 32-bit floats.
    fc.assert(
      fc.property(values, fc.boolean(), fc.nat(2), (floats, isPlain, absent) => {
        const rows = Math.floor(floats.length / 4) + absent;
        const data = Float32Array.from(floats);
        const scores = data.subarray(0, Math.floor(floats.length / 4));
        const tensors = { score: { data: isPlain ? [...scores] : scores, width: 1 }, v: { data, width: 3 } };
        const given = encodedRows(encodeBatch([score, vector], tensors, rows));
        const alone = Array.from({ length: rows }, (_, row) => {
          const fault = outputFault([score, vector], tensors, row);
          return fault ?? encodeOutputs([score, vector], tensors, row).toString('hex');
        });
        expect(given).toEqual(alone);
      }),
    );
    const narrow = { score: { data: Float32Array.of(1, 2), width: 2 } };
    expect(encodedRows(encodeBatch([{ ...score, index: 2 }], narrow, 1))).toEqual(['output score has no column 2']);
  });

  it('store one score in four bytes, and decode it as the shortest decimal that is the same float32', () => {
    const bytes = encodeOutputs([score], { score: { data: Float32Array.of(0.831), width: 1 } }, 0);
    expect(bytes).toHaveLength(4);
    expect(decodeOutputs([score], bytes)).toEqual({ score: 0.831 });
  });

  it.each([
    [Number.NaN, 'output score is NaN'],
    [Number.POSITIVE_INFINITY, 'output score is Infinity'],
  ])('report %d as a fault', (value, fault) => {
    expect(outputFault([score], { score: { data: Float32Array.of(0.1, value), width: 1 } }, 1)).toBe(fault);
    expect(outputFault([score], { score: { data: Float32Array.of(0.1, value), width: 1 } }, 0)).toBeNull();
  });

  it('report absent tensors, columns and rows as faults', () => {
    expect(outputFault([score], {}, 0)).toContain('score');
    expect(outputFault([{ ...score, index: 2 }], { score: { data: [1, 2], width: 2 } }, 0)).toContain('column 2');
    expect(outputFault([score], { score: { data: [1], width: 1 } }, 1)).toContain('no row');
  });

  it.each([0, 3, 5])('reject %d bytes if one float32 is expected', (length) => {
    expect(() => decodeOutputs([score], Buffer.alloc(length))).toThrow(RangeError);
  });
});
