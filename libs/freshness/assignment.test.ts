import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { armOfBucket, BUCKETS, bucketOfUser, murmur3 } from './assignment.ts';

/**
 * Values from the reference implementation, https://github.com/aappleby/smhasher, and from Wikipedia's table of test
 * vectors.
 */
test.each([
  ['', 0, 0],
  ['', 1, 0x514e28b7],
  ['', 0xffffffff, 0x81f16f39],
  ['test', 0, 0xba6bd213],
  ['test', 0x9747b28c, 0x704b81dc],
  ['Hello, world!', 0, 0xc0363e43],
  ['Hello, world!', 0x9747b28c, 0x24884cba],
  ['The quick brown fox jumps over the lazy dog', 0, 0x2e4ff723],
])('murmur3 of %j with seed %i', (text, seed, hash) => {
  expect(murmur3(text, seed)).toBe(hash);
});

describe('the bucket of a user', () => {
  it('is the same each time, and all buckets are about equally frequent', () => {
    const counts = new Map<number, number>();
    for (let user = 0; user < 100_000; user++) {
      const tenth = Math.floor(bucketOfUser('salt', `${user}`) / (BUCKETS / 10));
      counts.set(tenth, (counts.get(tenth) ?? 0) + 1);
    }
    // Chi-squared with 9 degrees of freedom is above 33.7 in one of 10,000 cases.
    const chi = [...counts.values()].reduce((sum, n) => sum + (n - 10_000) ** 2 / 10_000, 0);
    expect(counts.size).toBe(10);
    expect(chi).toBeLessThan(33.7);
  });

  it('in one rollout is independent of the bucket in another', () => {
    let both = 0;
    for (let user = 0; user < 100_000; user++) {
      const inFirst = bucketOfUser('one', `${user}`) < BUCKETS / 2;
      if (inFirst && bucketOfUser('two', `${user}`) < BUCKETS / 2) both++;
    }
    // 25,000 are expected, with a standard deviation of 137.
    expect(Math.abs(both - 25_000)).toBeLessThan(550);
  });

  it('stays in its arm when the arm grows', () => {
    fc.assert(
      fc.property(fc.string(), fc.uuid(), fc.nat(BUCKETS), fc.nat(BUCKETS), (userId, salt, one, other) => {
        const bucket = bucketOfUser(salt, userId);
        expect(bucket).toBe(bucketOfUser(salt, userId));
        const small = { firstBucket: 0, endBucket: Math.min(one, other) };
        const grown = { firstBucket: 0, endBucket: Math.max(one, other) };
        if (armOfBucket([small], bucket)) expect(armOfBucket([grown], bucket)).toBe(grown);
      }),
    );
  });

  it('belongs to one arm, or to none if no interval contains it', () => {
    const arms = [
      { name: 'a', firstBucket: 0, endBucket: 3_000 },
      { name: 'b', firstBucket: 3_000, endBucket: 6_000 },
      { name: 'shadow', firstBucket: 0, endBucket: 0 },
    ];
    const named = (bucket: number) => armOfBucket(arms, bucket)?.name;
    expect([0, 2_999, 3_000, 5_999, 6_000, 9_999].map(named)).toEqual(['a', 'a', 'b', 'b', undefined, undefined]);
  });
});
