import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bucketOf, createKeys, fieldOf, hashOf, prefixOf, userKeyOf } from './keys.ts';

describe('hashOf', () => {
  it.each([
    ['consecutive numbers', (i: number) => String(10_000_000 + i)],
    ['numbers in steps of 128', (i: number) => String(128 * i)],
    ['e-mail addresses', (i: number) => `user${i}@example.com`],
    ['uuids that differ in their end', (i: number) => `0190a3f2-7c1e-7000-8000-${String(i).padStart(12, '0')}`],
  ])('spreads %s over buckets like a random hash', (_name, idOf) => {
    for (const buckets of [782, 1_024]) {
      const users = 100_000;
      const sizes = new Array<number>(buckets).fill(0);
      for (let i = 0; i < users; i++) {
        const bucket = bucketOf(hashOf(idOf(i)), buckets);
        sizes[bucket] = (sizes[bucket] ?? 0) + 1;
      }
      const mean = users / buckets;
      const variance = sizes.reduce((sum, size) => sum + (size - mean) ** 2, 0) / buckets;
      // In a Poisson distribution, the variance is the mean. The limit is five standard errors above it. There is no
      // lower limit, since a more even distribution is better.
      expect(variance / mean).toBeLessThan(1 + 5 * Math.sqrt(2 / buckets));
      expect(Math.max(...sizes)).toBeLessThan(mean + 6 * Math.sqrt(mean));
    }
  });

  it('is stable, so that later processes find today’s keys', () => {
    // Computed separately, in Python.
    expect(['', '42', 'größe'].map(hashOf)).toEqual([2872998923, 686566589, 2538389087]);
  });
});

describe('fieldOf', () => {
  it('is the id if it is shorter than a digest, else 102 bits of SHA-256', () => {
    expect(fieldOf('1234567890123456')).toBe('1234567890123456');
    const id = '0190a3f2-7c1e-7000-8000-000000000001';
    expect(fieldOf(id)).toBe(createHash('sha256').update(id).digest('base64url').slice(0, 17));
    expect(fieldOf('ü'.repeat(9))).toHaveLength(17);
  });

  it('gives no two users the same field, even if one user’s id is the digest of another', () => {
    const id = 'a-victim-with-a-long-id@example.com';
    expect(fieldOf(fieldOf(id))).not.toBe(fieldOf(id));
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), fc.string({ maxLength: 40 }), (one, other) => {
        fc.pre(one !== other && one.isWellFormed() && other.isWellFormed());
        expect(fieldOf(one)).not.toBe(fieldOf(other));
      }),
    );
  });
});

describe('createKeys', () => {
  it('writes a tag as a number in base 36', () => {
    const keys = createKeys('t');
    const hash = fc.oneof(
      fc.nat(50_000),
      fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      fc.constantFrom(35, 36, 1_295, 1_296),
    );
    fc.assert(
      fc.property(hash, (one) => {
        expect(keys.hint({ hash: one, field: '7' })).toBe(`t:h:{${one.toString(36)}}7`);
      }),
    );
  });

  it('puts all keys of a user under one hash tag, and none on buckets', () => {
    const keys = createKeys();
    const user = userKeyOf('}odd{id}');
    const tag = (key: string) => /\{([^}]+)\}/.exec(key)?.[1];
    expect(tag(keys.overlay(user, 'repurchase'))).toBe(user.hash.toString(36));
    expect(tag(keys.hint(user))).toBe(user.hash.toString(36));
    expect(keys.bucket('3f2b8a52-1111-4222-8333-944455556666', 7)).not.toContain('{');
  });

  it('returns the generation of a key', () => {
    const keys = createKeys('a:b');
    expect(keys.generationOf(keys.bucket('g1', 12))).toBe('g1');
    expect(keys.generationOf(keys.marker('g1'))).toBe('g1');
    expect(keys.generationOf(keys.hint(userKeyOf('1')))).toBeNull();
    expect(keys.generationOf('bull:queue:1')).toBeNull();
  });
});

it('keys of another protocol number are different, and a scan finds only generations of its own number', () => {
  const [first, second] = [createKeys(prefixOf(1)), createKeys(prefixOf(2))];
  expect([first.bucket('g', 3), second.bucket('g', 3)]).toEqual(['tandem:g:g:3', 'tandem:p2:g:g:3']);
  expect([first.count('erasures'), second.count('erasures')]).toEqual(['tandem:{erasures}', 'tandem:p2:{erasures}']);
  expect(first.generationOf(second.bucket('g', 3))).toBeNull();
  expect([first.generationPattern, second.generationPattern]).toEqual(['tandem:[gm]:*', 'tandem:p2:[gm]:*']);
});
