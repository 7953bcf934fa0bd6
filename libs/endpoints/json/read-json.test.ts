import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readJson } from './read-json.ts';

const read = (text: string) => readJson(new TextEncoder().encode(text));
const malformed = expect.objectContaining({ code: 'malformed_request' });
const refused = (field: string, remedy: unknown = expect.any(String)) =>
  expect.objectContaining({ code: 'invalid_input', field, remedy });

/** Returns the milliseconds of a read. Rejections of malformed texts are ignored. */
function timeOf(text: string): number {
  const start = performance.now();
  try {
    read(text);
  } catch {
    // Malformed texts are rejected.
  }
  return performance.now() - start;
}

describe('readJson', () => {
  it('returns the same values as JSON.parse', () => {
    fc.assert(
      fc.property(fc.json({ noUnicodeString: false }), (text) => {
        const parsed: unknown = JSON.parse(text);
        if (/__proto__|constructor|prototype|\\u0000|\\ud|\d{16}|e/.test(text)) return;
        expect(read(text)).toEqual(parsed);
      }),
    );
  });

  it.each([
    '',
    '   ',
    '{',
    '{"a":}',
    '[1,]',
    'nul',
    '{"a":1}x',
    "{'a':1}",
    '01',
    'NaN',
    '"\u0001"',
    '\uFEFF{}',
    '[1 2]',
    '"a',
    '"\\x"',
  ])('calls %j malformed', (text) => {
    expect(() => read(text)).toThrow(malformed);
  });

  it('names the position of an error', () => {
    expect(() => read('{"a": tru}')).toThrow(/position 9/);
    expect(() => read('{"a": 1')).toThrow(/position 7/);
  });

  it.each([
    ['a truncated character', [0x22, 0xc3, 0x22]],
    ['an overlong character', [0x22, 0xc0, 0x80, 0x22]],
    ['an encoded surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['UTF-16', [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]],
    ['a byte order mark', [0xef, 0xbb, 0xbf, 0x7b, 0x7d]],
  ])('calls %s malformed', (_, bytes) => {
    expect(() => readJson(Uint8Array.from(bytes))).toThrow(malformed);
  });

  it.each([
    ['{"a":1,"a":2}', 'a'],
    ['{"a":1,"\\u0061":2}', 'a'],
    ['[{"b":{"a":1,"c":[],"a":2}}]', '[0].b.a'],
    ['{"__proto__":{}}', '__proto__'],
    ['{"x":{"\\u005f_proto__":{}}}', 'x.__proto__'],
    ['{"constructor":1}', 'constructor'],
    ['{"prototype":1}', 'prototype'],
    ['{"a":"x\\u0000"}', 'a'],
    ['["", "\\ud800"]', '[1]'],
    ['{"a":[0,{"b":"\\udc00\\ud800"}]}', 'a[1].b'],
    ['{"a":1e400}', 'a'],
    ['[-1E+999]', '[0]'],
    ['{"id":9007199254740993}', 'id'],
  ])('rejects %s and names %s', (text, path) => {
    expect(() => read(text)).toThrow(refused(path));
  });

  it.each([
    ['{"a":1,"a":2}', 'send it once'],
    ['{"a":"x\\u0000"}', 'leave out \\u0000'],
    ['{"a":"\\ud800"}', expect.stringContaining('the whole character')],
    ['{"a":1e400}', 'send one between -1.8e308 and 1.8e308'],
    ['{"a":9007199254740993}', expect.stringContaining('as a string')],
  ])('says how to send %s instead', (text, remedy) => {
    expect(() => read(text)).toThrow(refused('a', remedy));
  });

  it('accepts harmless values that look dangerous', () => {
    expect(read('{"a":{"a":1},"b":{"a":"\\\\u0000","c":"{\\"a\\":1,\\"a\\":2}"}}')).toEqual({
      a: { a: 1 },
      b: { a: '\\u0000', c: '{"a":1,"a":2}' },
    });
    expect(read('["__proto__", "\\ud83d\\ude00", 9007199254740991, 0.1234567890123456789, 1e300]')).toHaveLength(5);
  });

  it('rejects deep nesting before it parses', () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
    expect(read(nested(32))).toBeInstanceOf(Array);
    expect(() => read(nested(33))).toThrow(/deeper than 32 levels/);
    expect(() => read('{"a":'.repeat(100_000))).toThrow(/deeper than 32 levels/);
    expect(read(`["${'['.repeat(100)}"]`)).toHaveLength(1);
  });

  it('gives remedies for a forbidden key and for too many levels', () => {
    expect(() => read('{"prototype":1}')).toThrow(refused('prototype', 'give it another name'));
    expect(() => read('['.repeat(33))).toThrow(
      expect.objectContaining({ remedy: expect.stringContaining('less deeply') }),
    );
  });

  it('rejects an object with too many keys', () => {
    const keys = Array.from({ length: 5_001 }, (_, i) => `"k${i}":0`).join(',');
    expect(() => read(`{${keys}}`)).toThrow(/more than 5000 keys/);
  });

  it.each<[string, (length: number) => string]>([
    ['backslashes without end', (length) => '"'.padEnd(length, '\\')],
    ['escaped backslashes', (length) => `["${'\\\\'.repeat(length / 2)}"]`],
    ['empty texts', (length) => `[${'"",'.repeat(length / 3)}""]`],
    ['signs', (length) => '-'.repeat(length)],
  ])('takes time proportional to the length of %s', (_, hostile) => {
    const [short, middle, long] = [hostile(20_000), hostile(100_000), hostile(400_000)];
    // The warm-up makes V8 optimise the code, so that the optimised code is measured.
    for (let turn = 0; turn < 40; turn++) timeOf(middle);
    const best = { short: Number.POSITIVE_INFINITY, long: Number.POSITIVE_INFINITY };
    // The long text is 20 times as long. It takes about 20 times the time if the code is linear, and 400 times if it is
    // quadratic. Other programs can only add time, so the fastest turn measures the code.
    for (let turn = 0; turn < 20 && best.long >= best.short * 100; turn++) {
      best.short = Math.min(best.short, timeOf(short));
      best.long = Math.min(best.long, timeOf(long));
    }
    expect(best.long).toBeLessThan(best.short * 100);
  });
});
