import { describe, expect, it } from 'vitest';
import { type CacheStatusFacts, cacheStatus } from './caching.ts';

const hit: CacheStatusFacts = {
  hit: true,
  kept: false,
  forwarded: null,
  source: 'batch',
  reason: 'fresh',
  ageSeconds: 10,
};
const live = (forwarded: CacheStatusFacts['reason'], kept = true): CacheStatusFacts => ({
  hit: false,
  kept,
  forwarded,
  source: 'live',
  reason: forwarded,
  ageSeconds: 0,
});

describe('cacheStatus', () => {
  it('gives the remaining seconds of freshness of a hit, if they are known', () => {
    expect(cacheStatus(hit, null)).toBe('tandem; hit');
    expect(cacheStatus(hit, 60_000)).toBe('tandem; hit; ttl=50');
  });

  it('gives the seconds since a stale hit expired, and why it is stale', () => {
    expect(cacheStatus({ ...hit, source: 'stale', reason: 'expired', ageSeconds: 90 }, 60_000)).toBe(
      'tandem; hit; ttl=-30; detail=expired',
    );
    expect(cacheStatus({ ...hit, source: 'stale', reason: 'context_newer' }, 60_000)).toBe(
      'tandem; hit; detail=context_newer',
    );
    expect(cacheStatus({ ...hit, reason: 'rolled_back' }, 60_000)).toBe('tandem; hit; detail=rolled_back');
  });

  it.each([
    ['context_newer', 'stale'],
    ['expired', 'stale'],
    ['missing', 'uri-miss'],
    ['requested', 'request'],
    ['version_changed', 'miss'],
    ['rolled_back', 'miss'],
  ] as const)('says why no stored prediction was used: %s is fwd=%s', (reason, fwd) => {
    expect(cacheStatus(live(reason), 60_000)).toBe(`tandem; fwd=${fwd}; stored; detail=${reason}`);
    expect(cacheStatus(live(reason, false), null)).toBe(`tandem; fwd=${fwd}; detail=${reason}`);
  });

  it('never calls an answer a hit if it was served because live inference failed', () => {
    const fallen: CacheStatusFacts = { ...hit, source: 'stale', reason: 'live_timeout', forwarded: 'context_newer' };
    expect(cacheStatus(fallen, 60_000)).toBe('tandem; fwd=stale; detail=context_newer');
  });

  it('says that an answer is unverified', () => {
    expect(cacheStatus({ ...hit, source: 'stale', reason: 'unverified', forwarded: 'unverified' }, 60_000)).toBe(
      'tandem; hit; detail=unverified',
    );
  });
});
