/** Reference figures of the exact evidence: SciPy 1.17.1 (`stats.betabinom.logpmf`; `optimize.minimize_scalar` of `stats.binom`). */

import { addShares, drawBinomial, mostOf, randomFrom } from '@tandem/experiment/distributions/draws.fixture';
import { logExactEvidenceAbove, type ShareCount } from '@tandem/experiment/distributions/exact-shares';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { logEvidenceShareAbove, logEvidenceShareBelow, type SharePair, shareInterval } from './share-check.ts';

const ALPHA = 0.05;
const PROVEN = Math.log(1 / ALPHA);

test.each([
  [{ users: 2, events: 1 }, { users: 200, events: 0 }, 0.005, 1.5835183878027337],
  [{ users: 10_000, events: 60 }, { users: 10_000, events: 10 }, 0, 12.707635184867067],
  [{ users: 1_000, events: 40 }, { users: 90_000, events: 400 }, 0.005, 18.903478331502605],
  [{ users: 10_000, events: 10 }, { users: 10_000, events: 60 }, 0, -7.167244758247277],
  [{ users: 500, events: 250 }, { users: 500, events: 200 }, 0.02, -5.698795408268259],
])('the exact evidence that %j is above %j by %d', (candidate, stable, margin, logEvidence) => {
  expect(logExactEvidenceAbove(candidate, stable, margin)).toBeCloseTo(logEvidence, 7);
});

const count = fc
  .tuple(fc.integer({ min: 1, max: 5_000 }), fc.double({ min: 0, max: 1, noNaN: true }))
  .map(([users, share]): ShareCount => ({ users, events: users * share }));
const pair = fc.record({ candidate: count, stable: count });
const margin = fc.double({ min: -0.9, max: 0.9, noNaN: true });

describe('two shares', () => {
  it('are never distinguished by very few users', () => {
    for (const users of [1, 2, 3, 5])
      for (let events = 0; events <= users; events++) {
        const candidate = { users, events };
        for (const seen of [1, 2, 5]) {
          const stable = { users: seen, events: 0 };
          expect(logEvidenceShareAbove({ candidate, stable }, 0.01, ALPHA)).toBeLessThan(PROVEN);
        }
        const stable = { users: 100, events: 1 };
        expect(logEvidenceShareBelow({ candidate, stable }, 0.01, ALPHA)).toBeLessThan(PROVEN);
      }
    const oneOfTwo = { candidate: { users: 2, events: 1 }, stable: { users: 100_000, events: 100 } };
    expect(logEvidenceShareAbove(oneOfTwo, 0.005, ALPHA)).toBeLessThan(PROVEN);
  });

  it('have less evidence with a larger margin', () => {
    fc.assert(
      fc.property(pair, margin, margin, (shares, one, other) => {
        const [low, high] = [Math.min(one, other), Math.max(one, other)];
        const [more, less] = [low, high].map((at) => logEvidenceShareAbove(shares, at, ALPHA));
        expect((less ?? 0) - (more ?? 0)).toBeLessThan(1e-6);
      }),
    );
  });

  it('have an interval that excludes a margin exactly when there is proof against it', () => {
    fc.assert(
      fc.property(pair, margin, (shares, at) => {
        const { lower, upper } = shareInterval(shares, { lower: ALPHA, upper: ALPHA }, ALPHA);
        if (Math.abs(lower - at) > 1e-6) expect(logEvidenceShareAbove(shares, at, ALPHA) >= PROVEN).toBe(lower > at);
        if (Math.abs(upper - at) > 1e-6) expect(logEvidenceShareBelow(shares, at, ALPHA) >= PROVEN).toBe(upper < at);
      }),
    );
  });

  it('are distinguished only by the exact evidence until each has ten users with the event and ten without', () => {
    const half = (shares: SharePair) => logExactEvidenceAbove(shares.candidate, shares.stable, 0) - Math.LN2;
    const of50 = (events: number, ofStable: number) => ({
      candidate: { users: 50, events },
      stable: { users: 5_000, events: ofStable },
    });
    for (const few of [of50(9, 800), of50(41, 4_000)])
      expect(logEvidenceShareAbove(few, 0, ALPHA)).toBeCloseTo(half(few), 10);
    for (const enough of [of50(10, 800), of50(40, 3_900)])
      expect(logEvidenceShareAbove(enough, 0, ALPHA)).toBeGreaterThan(half(enough) + 0.01);
  });

  it('are not distinguished by ten events where 22 were expected', () => {
    // At a single look, 10 events or fewer have a probability of 0.0035. With the variance of the 10 events alone, it
    // would seem to be 0.00007.
    const lucky = { candidate: { users: 4_400, events: 10 }, stable: { users: 100_000, events: 500 } };
    expect(logEvidenceShareBelow(lucky, 0, ALPHA)).toBeLessThan(PROVEN);
  });

  it('are proven different, or equal within a margin, with enough users', () => {
    const bad = { candidate: { users: 2_000, events: 60 }, stable: { users: 100_000, events: 100 } };
    expect(logEvidenceShareAbove(bad, 0.01, ALPHA)).toBeGreaterThan(PROVEN);
    const clean = { candidate: { users: 2_000, events: 0 }, stable: { users: 100_000, events: 0 } };
    expect(logEvidenceShareBelow(clean, 0.005, ALPHA)).toBeGreaterThan(PROVEN);
  });
});

/**
 * If the difference of the shares is exactly the margin, at most 5 % of experiments reach a false verdict, over any
 * number of looks.
 */
describe.each([
  { stable: 0, margin: 0.002, users: [500, 500] },
  { stable: 0.001, margin: 0.002, users: [500, 500] },
  { stable: 0.005, margin: 0, users: [500, 500] },
  { stable: 0.01, margin: 0.005, users: [30, 3_000] },
  { stable: 0.1, margin: 0.02, users: [300, 300] },
  { stable: 0.97, margin: 0.01, users: [200, 200] },
] as const)('shares of $stable and $margin more, $users users a day', ({ stable: share, margin: by, users }) => {
  it('are falsely proven further apart, or closer, by daily looks in at most 5 % of 2,000 experiments', () => {
    const random = randomFrom(42);
    let [above, below] = [0, 0];
    for (let experiment = 0; experiment < 2_000; experiment++) {
      let candidate = { users: 0, events: 0 };
      let stable = { users: 0, events: 0 };
      let [everAbove, everBelow] = [false, false];
      for (let day = 0; day < 21; day++) {
        candidate = addShares(candidate, { users: users[0], events: drawBinomial(random, users[0], share + by) });
        stable = addShares(stable, { users: users[1], events: drawBinomial(random, users[1], share) });
        everAbove ||= logEvidenceShareAbove({ candidate, stable }, by, ALPHA) >= PROVEN;
        everBelow ||= logEvidenceShareBelow({ candidate, stable }, by, ALPHA) >= PROVEN;
      }
      if (everAbove) above++;
      if (everBelow) below++;
    }
    expect(above).toBeLessThan(mostOf(2_000, ALPHA));
    expect(below).toBeLessThan(mostOf(2_000, ALPHA));
  });
});

/** Tests the numbers of users in docs/experiments.md, at 50/50 and at 99/1. */
describe('the users of the smaller arm that decide on errors', () => {
  /** Returns the quantiles 0.5 and 0.8 of the users after which the evidence suffices. */
  function usersUntil(isProven: (shares: SharePair) => boolean, ratio: number, errors: number, every: number) {
    const random = randomFrom(5);
    const until = Array.from({ length: 200 }, () => {
      let [candidate, stable] = [NO_USERS, NO_USERS];
      while (!isProven({ candidate, stable })) {
        candidate = addShares(candidate, { users: every, events: drawBinomial(random, every, errors) });
        const users = every * ratio;
        stable = addShares(stable, { users, events: drawBinomial(random, users, Math.min(errors, 0.001)) });
      }
      return candidate.users;
    }).sort((a, b) => a - b);
    return [until[100] ?? 0, until[160] ?? 0];
  }
  const NO_USERS: ShareCount = { users: 0, events: 0 };
  const passes = (shares: SharePair) => logEvidenceShareBelow(shares, 0.005, ALPHA) >= PROVEN;
  const fails = (shares: SharePair) => logEvidenceShareAbove(shares, 0.01, ALPHA) >= Math.log(16 / ALPHA);

  it.each([1, 99])('are those of the page, with %d times as many in stable', (ratio) => {
    const [none] = usersUntil(passes, ratio, 0, 20);
    expect(none).toBeGreaterThan(1_000);
    expect(none).toBeLessThan(1_200);
    const [half = 0, most = 0] = usersUntil(passes, ratio, 0.001, 100);
    expect(half).toBeGreaterThan(1_900);
    expect(half).toBeLessThanOrEqual(3_300);
    expect(most).toBeLessThanOrEqual(4_500);
    const [soon = 0, later = 0] = usersUntil(fails, ratio, 0.05, 10);
    expect(soon).toBeGreaterThan(250);
    expect(soon).toBeLessThanOrEqual(500);
    expect(later).toBeLessThanOrEqual(700);
  });
});
