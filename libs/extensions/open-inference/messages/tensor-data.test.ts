/** Tests that values survive the conversion to binary data and to JSON, at any offset in memory. */
import type { TensorType } from '@tandem/freshness/predictor';
import type { TensorData } from '@tandem/inference/process/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readBinary, writeBinary } from './binary-data.ts';
import { flatten, jsonDataOf, readJsonData } from './json-data.ts';

/** Values of each type that both forms can represent. */
const VALUES: readonly [TensorType, fc.Arbitrary<TensorData>][] = [
  ['bool', fc.array(fc.nat(1)).map((values) => Uint8Array.from(values))],
  ['uint8', fc.uint8Array()],
  ['uint16', fc.uint16Array()],
  ['uint32', fc.uint32Array()],
  ['uint64', fc.array(fc.maxSafeNat()).map((values) => BigUint64Array.from(values, BigInt))],
  ['int8', fc.int8Array()],
  ['int16', fc.int16Array()],
  ['int32', fc.int32Array()],
  ['int64', fc.array(fc.maxSafeInteger()).map((values) => BigInt64Array.from(values, BigInt))],
  // Bits of finite float16 values except -0, which JSON cannot represent.
  ['float16', fc.array(fc.nat(0x7bff)).map((bits) => Uint16Array.from(bits))],
  ['float32', fc.float32Array({ noNaN: true, noDefaultInfinity: true }).map((values) => values.map((one) => one + 0))],
  ['float64', fc.float64Array({ noNaN: true, noDefaultInfinity: true }).map((values) => values.map((one) => one + 0))],
  ['string', fc.array(fc.string({ unit: 'grapheme' }))],
];

describe.each(VALUES)('values of %s', (type, values) => {
  it('are the same after conversion to bytes, at any offset', () => {
    const property = fc.property(values, fc.nat(9), (data, offset) => {
      const bytes = Buffer.concat([Buffer.alloc(offset), writeBinary(data)]).subarray(offset);
      expect(readBinary(type, bytes, data.length, 'data')).toEqual(data);
    });
    fc.assert(property);
  });

  it('are the same after conversion to JSON, flat or nested', () => {
    const property = fc.property(values, (data) => {
      const json = JSON.parse(jsonDataOf({ name: 'a', type, dims: [data.length], data })) as unknown[];
      expect(readJsonData(type, json, data.length, 'data')).toEqual(data);
      const nested = json.map((value) => [[value]]);
      const flat = flatten(nested, [data.length, 1, 1], 'data');
      expect(readJsonData(type, flat, data.length, 'data')).toEqual(data);
    });
    fc.assert(property);
  });
});

describe('bytes that are rejected', () => {
  it.each<[string, TensorType, number[], number, string]>([
    ['too few', 'float32', [0, 0, 0], 1, 'data has 3 bytes.'],
    ['too many', 'int8', [0, 0], 1, 'data has 2 bytes.'],
    ['a boolean of 2', 'bool', [1, 2], 2, 'data[1] is 2.'],
    ['a text that ends early', 'string', [3, 0, 0, 0, 97], 1, 'data ends within text 0.'],
    ['a length that ends early', 'string', [3, 0], 1, 'data ends within text 0.'],
    ['too few texts', 'string', [0, 0, 0, 0], 2, 'data has 1 values.'],
    ['a text that is not UTF-8', 'string', [1, 0, 0, 0, 255], 1, 'data[0] is not UTF-8.'],
  ])('%s', (_, type, bytes, count, text) => {
    expect(() => readBinary(type, Uint8Array.from(bytes), count, 'data')).toThrow(text);
  });
});

describe('nested JSON that does not match the shape', () => {
  it.each<[string, unknown[], number[], string]>([
    ['rows of different lengths', [[1], [2, 3, 4]], [2, 2], 'data[0] has 1 entries.'],
    ['values beside arrays', [1, [2]], [2, 1], 'data[0] is 1.'],
    ['too few rows', [[1, 2]], [2, 2], 'data has 1 entries.'],
  ])('%s', (_, data, shape, text) => {
    expect(() => flatten(data, shape, 'data')).toThrow(text);
  });

  it('is read no deeper than the shape', () => {
    expect(() => readJsonData('string', flatten([['a'], ['b']], [2], 'data'), 2, 'data')).toThrow('data[0] is ["a"]');
  });
});

describe('JSON that is rejected', () => {
  it.each<[TensorType, unknown, string]>([
    ['int8', 128, 'data[0] is 128, which a tensor of INT8 cannot hold.'],
    ['uint8', -1, 'data[0] is -1'],
    ['int32', 1.5, 'data[0] is 1.5'],
    ['uint64', -1, 'data[0] is -1'],
    ['float16', 65_520, 'data[0] is 65520'],
    ['float32', null, 'data[0] is null'],
    ['bool', 1, 'data[0] is 1'],
    ['string', 1, 'data[0] is 1'],
  ])('%s: %j', (type, value, text) => {
    expect(() => readJsonData(type, [value], 1, 'data')).toThrow(text);
  });
});
