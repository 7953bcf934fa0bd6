/** Tests with messages of many small entries, which take long to decode. */
import { describe, expect, it } from 'vitest';
import { countEntries } from './count-entries.ts';

/** Returns a field with its length. */
const field = (number: number, ...content: (number | Buffer)[]): Buffer => {
  const bytes = Buffer.concat(content.map((one) => (typeof one === 'number' ? Buffer.of(one) : one)));
  const length: number[] = [];
  for (let left = bytes.length; left > 0 || length.length === 0; left >>>= 7) {
    length.push((left & 127) | (left > 127 ? 128 : 0));
  }
  return Buffer.concat([Buffer.of((number << 3) | 2, ...length), bytes]);
};
const times = (count: number, one: Buffer) => Buffer.concat(new Array<Buffer>(count).fill(one));

describe('a message is refused that has', () => {
  it.each([
    ['too many empty inputs', times(4_097, field(5)), /more than 4096 inputs/],
    ['too many empty texts', field(5, field(5, times(65_537, field(8)))), /more than 65536 typed values/],
    ['too many packed integers', field(5, field(5, field(3, Buffer.alloc(65_537)))), /more than 65536 typed values/],
    ['too many sizes', field(5, field(3, Buffer.alloc(65_537))), /more than 65536 typed values/],
    ['too many parameters of an output', field(6, times(65_537, field(2))), /more than 65536 typed values/],
    ['a field that ends beyond its message', Buffer.of((5 << 3) | 2, 3, 0), /ends beyond/],
    ['an integer without an end', Buffer.of(0xff, 0xff), /no end/],
  ])('%s', (_, message, text) => {
    expect(() => countEntries(message)).toThrow(text);
  });
});

it('passes large contents, as raw bytes and as packed floats', () => {
  countEntries(field(7, Buffer.alloc(1_000_000)));
  countEntries(field(5, field(5, field(6, Buffer.alloc(1_000_000)))));
  countEntries(Buffer.concat([field(1, Buffer.from('repurchase')), times(4_000, field(5))]));
  countEntries(Buffer.of(0x08, 0x80, 0x01, 0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0x0d, 0, 0, 0, 0));
});
