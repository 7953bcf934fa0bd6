import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { digestIn, rangeIn } from './file-headers.ts';

const sha256 = createHash('sha256').update('a model');
const [hex, base64] = [sha256.copy().digest('hex'), sha256.copy().digest('base64')];

it('reads the SHA-256 of a Content-Digest, also among other digests and in any spacing', () => {
  expect(digestIn(`sha-256=:${base64}:`)).toBe(hex);
  expect(digestIn(`sha-512=:AAAA:, sha-256 = :${base64}:`)).toBe(hex);
  expect(digestIn('sha-512=:AAAA:')).toBeUndefined();
  expect(digestIn(undefined)).toBeUndefined();
});

it.each([['sha-256=abc'], ['sha-256=:abc:'], [`sha-256=:${base64}`], [''], ['sha-256=:AAAA:, x']])(
  'rejects the malformed %j',
  (header) => {
    expect(() => digestIn(header)).toThrow(expect.objectContaining({ code: 'malformed_request' }));
  },
);

it('reads the range of a part', () => {
  expect(rangeIn('bytes 0-9/10')).toEqual({ first: 0, last: 9, total: 10 });
  expect(rangeIn('Bytes 1048576-2097151/3000000')).toEqual({ first: 1_048_576, last: 2_097_151, total: 3_000_000 });
  expect(rangeIn(undefined)).toBeUndefined();
});

it.each([
  ['bytes 5-4/10'],
  ['bytes 0-10/10'],
  ['bytes */10'],
  ['bytes 0-9/*'],
  ['rows 0-9/10'],
  ['bytes -1-9/10'],
  [''],
])('rejects the range %j', (header) => {
  expect(() => rangeIn(header)).toThrow(expect.objectContaining({ code: 'malformed_request' }));
});
