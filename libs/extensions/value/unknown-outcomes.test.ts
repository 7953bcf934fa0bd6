import { createRandom } from '@tandem/experiment/distributions/random';
import { describe, expect, it } from 'vitest';
import { judgeChances, judgeLists } from './judges.ts';
import { gainBounds } from './unknown-outcomes.ts';
import type { Outcome, Step, ValueHistory } from './value-history.ts';
import { planValue, reportValue } from './value-report.ts';

const HOUR = 3_600_000;
const USERS = 1_000;
/** The chance of the outcome before and after the event, which the model knows. */
const [BEFORE, AFTER] = [0.2, 0.35];
/** The expected gain of the answer after the event over the answer before it. */
const TRUE_GAIN = AFTER * Math.log(AFTER / BEFORE) + (1 - AFTER) * Math.log((1 - AFTER) / (1 - BEFORE));

/** Each user is read once, after an event. `known` is the probability that a read's outcome arrives. */
function simulate(seed: number, known: (happened: boolean) => number, missing: Outcome) {
  const random = createRandom(seed);
  const reads = Array.from({ length: USERS }, (_, user) => {
    const happened = random() < AFTER;
    return { user, outcome: random() < known(happened) ? Number(happened) : missing };
  });
  const timelines = reads.map(({ user }): Step[] => [
    { kind: 'context', at: 0, context: 0 },
    { kind: 'event', at: HOUR },
    { kind: 'context', at: HOUR, context: 1 },
    { kind: 'read', at: HOUR + 60_000, read: user },
  ]);
  const history: ValueHistory = {
    ...{ predictor: 'p', from: 0, to: 24 * HOUR, users: USERS, simulated: true, contexts: [], timelines, reads },
  };
  const judge = judgeChances(
    new Map([
      [0, BEFORE],
      [1, AFTER],
    ]),
  );
  return reportValue(planValue(history, { cadencesMs: [24 * HOUR], maxAgeMs: null }), judge, seed);
}

describe('unknown outcomes', () => {
  it('hide a gain if they count as 0, and do not if they are left out, because they are missing at random', () => {
    const asZero = simulate(1, () => 0.5, 0).gains[0];
    expect(asZero?.change.high).toBeLessThan(0.1 * TRUE_GAIN);
    const { gains, reads } = simulate(1, () => 0.5, null);
    const [gain] = gains;
    expect(reads.unknownOutcome / reads.all).toBeCloseTo(0.5, 1);
    expect(reads.judged + reads.unknownOutcome).toBe(USERS);
    expect(gain?.verdict).toBe('gain');
    expect(gain?.change.low).toBeLessThan(TRUE_GAIN);
    expect(gain?.change.high).toBeGreaterThan(TRUE_GAIN);
  });

  it('bound the gain if they are missing because of the outcome, which the interval does not contain', () => {
    for (let seed = 1; seed <= 3; seed++) {
      const [gain] = simulate(seed, (happened) => (happened ? 0.9 : 0.6), null).gains;
      expect(gain?.change.low).toBeGreaterThan(TRUE_GAIN);
      expect(gain?.bounds?.low).toBeLessThan(TRUE_GAIN);
      expect(gain?.bounds?.high).toBeGreaterThan(TRUE_GAIN);
    }
  });

  it('change nothing for reads that both ways answer from the same context, and at most 1 for lists', () => {
    const judge = judgeLists(new Map([0, 1].map((context) => [context, ['a']])), { type: 'string' }, 1);
    const reads = [
      { user: 0, outcome: null },
      { user: 0, outcome: null },
      { user: 0, outcome: 'a' },
    ];
    const bounds = gainBounds({ reads }, judge, Uint32Array.of(0, 1, 2), { ours: [0, 1, 1], theirs: [0, 0, 0] });
    expect(bounds).toEqual({ low: -1 / 3, high: 1 / 3 });
  });
});
