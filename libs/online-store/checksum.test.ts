import { crc32 as nativeCrc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { crc32 } from './stored-value.ts';

it('crc32 equals that of zlib, for few and many bytes, and continues from another checksum', () => {
  const bytes = fc.uint8Array({ maxLength: 300, size: 'max' });
  const seed = fc.integer({ min: 0, max: 2 ** 32 - 1 });
  fc.assert(
    fc.property(bytes, bytes, seed, (before, own, start) => {
      const all = Buffer.concat([before, own, before]);
      const stop = before.length + own.length;
      expect(crc32(all, before.length, stop, start)).toBe(nativeCrc32(own, start));
    }),
  );
});
