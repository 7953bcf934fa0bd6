import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createScaler, type WaitingRun, workersNeeded } from './desired-workers.ts';

const runOf = (changes: Partial<WaitingRun> = {}): WaitingRun => ({
  predictor: 'p',
  users: 800_000,
  usersPerSecond: 1_000,
  secondsLeft: 1_000,
  ...changes,
});
const needed = (...runs: WaitingRun[]) => workersNeeded({ runs, chores: [] });

describe('the number of workers', () => {
  it('is 0 only if nothing waits', () => {
    expect(needed()).toBe(0);
    expect(workersNeeded({ runs: [], chores: ['events'] })).toBe(1);
    expect(needed(runOf({ users: 0 }))).toBe(1);
  });

  it('is the least that ends a run in four fifths of the time to its deadline', () => {
    expect(needed(runOf())).toBe(1);
    expect(needed(runOf({ users: 800_001 }))).toBe(2);
    expect(needed(runOf({ secondsLeft: 250 }))).toBe(4);
  });

  it('is 1 for a run without a measured rate', () => {
    expect(needed(runOf({ usersPerSecond: null, secondsLeft: 1 }))).toBe(1);
  });

  it('adds up the work due by each deadline', () => {
    expect(needed(runOf(), runOf({ secondsLeft: 2_000 }))).toBe(1);
    expect(needed(runOf(), runOf())).toBe(2);
    // The run with the later deadline waits for the other run.
    expect(needed(runOf({ users: 400_000, secondsLeft: 500 }), runOf({ secondsLeft: 1_000 }))).toBe(2);
  });

  it('ends a late run within a minute', () => {
    expect(needed(runOf({ users: 180_000, secondsLeft: -1_000 }))).toBe(3);
  });

  it('never falls if more work waits', () => {
    const run = fc.record({
      predictor: fc.constant('p'),
      users: fc.nat(10_000_000),
      usersPerSecond: fc.option(fc.integer({ min: 1, max: 50_000 })),
      secondsLeft: fc.integer({ min: -100_000, max: 100_000 }),
    });
    fc.assert(
      fc.property(fc.array(run, { maxLength: 6 }), run, (runs, more) => {
        expect(needed(...runs, more)).toBeGreaterThanOrEqual(Math.max(1, needed(...runs)));
      }),
    );
  });
});

describe('scaling', () => {
  const looks = fc.array(fc.record({ afterMs: fc.integer({ min: 1, max: 120_000 }), needed: fc.nat(20) }), {
    maxLength: 40,
  });
  const limits = { min: 0, max: 8, holdMs: 300_000 };

  it('stays between its limits, and has a worker whenever one is needed', () => {
    fc.assert(
      fc.property(looks, (all) => {
        const scale = createScaler(limits);
        let now = 0;
        for (const look of all) {
          now += look.afterMs;
          const workers = scale(now, look.needed);
          expect(workers).toBeGreaterThanOrEqual(Math.min(limits.max, look.needed));
          expect(workers).toBeLessThanOrEqual(limits.max);
        }
      }),
    );
  });

  it('rises immediately, and falls after fewer workers were enough for the whole hold time', () => {
    const scale = createScaler(limits);
    expect([scale(0, 4), scale(60_000, 0), scale(299_999, 2)]).toEqual([4, 4, 4]);
    expect([scale(300_000, 0), scale(599_998, 0), scale(600_000, 0)]).toEqual([2, 2, 0]);
  });

  it('never falls and rises again within the hold time, unless the need exceeds the earlier number', () => {
    fc.assert(
      fc.property(looks, (all) => {
        const scale = createScaler(limits);
        let [now, before, fellAt] = [0, 0, Number.NEGATIVE_INFINITY];
        const peaks: { at: number; needed: number }[] = [];
        for (const look of all) {
          now += look.afterMs;
          const workers = scale(now, look.needed);
          if (workers < before) fellAt = now;
          // The number fell because fewer workers were enough for the whole hold time, so only a new need raises it.
          if (workers > before && now - fellAt < limits.holdMs) expect(look.needed).toBeGreaterThan(before);
          peaks.push({ at: now, needed: look.needed });
          before = workers;
        }
      }),
    );
  });
});
