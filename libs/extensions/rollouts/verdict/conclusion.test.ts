import { describe, expect, it } from 'vitest';
import type { ArmSample } from '../sequential/effect.ts';
import { compareOutcome } from './compare-outcome.ts';

const asked = {
  name: 'order',
  kind: 'binary',
  armName: 'b',
  better: 'higher',
  alpha: 0.05,
  minimumEffect: 0.1,
  days: 10,
} as const;
const count = (users: number, events: number): ArmSample => ({ users, sum: events, sumOfSquares: events });
const concluded = (stable: ArmSample, arm: ArmSample, changes: object = {}) =>
  compareOutcome({ ...asked, stable, arm, ...changes }).conclusion;

describe('an A/B test ends with a sentence', () => {
  it('that names the better version, depending on the direction that is better', () => {
    const [few, more] = [count(20_000, 2_000), count(20_000, 2_600)];
    expect(concluded(few, more)).toEqual({
      kind: 'better',
      text: 'order: b is better than stable: +30 %',
    });
    expect(concluded(few, more, { better: 'lower' })).toMatchObject({ kind: 'worse' });
    expect(concluded(more, few)).toMatchObject({ kind: 'worse' });
    expect(concluded(more, few, { better: 'lower' })).toMatchObject({ kind: 'better' });
  });

  it('that rules out a difference above the minimum effect', () => {
    expect(concluded(count(80_000, 8_000), count(80_000, 8_020))).toEqual({
      kind: 'no_difference',
      text: 'order: no difference above 10 % between b and stable',
    });
  });

  it('with the time that is still needed', () => {
    expect(concluded(count(2_000, 200), count(2_000, 205))).toEqual({
      kind: 'undecided',
      text: expect.stringMatching(
        /^order: not decided between b and stable; \d+ to \d+ more days to find or rule out a difference of 10 %$/,
      ),
    });
    expect(concluded(count(35_000, 3_500), count(35_000, 3_600)).text).toMatch(/; at most \d+ more days/);
    const nearNothing = { users: 1_000, sum: 0, sumOfSquares: 1_000 };
    expect(concluded(nearNothing, nearNothing).text).toContain('there is not enough data yet');
  });

  it('that names the arm without users', () => {
    expect(concluded(count(0, 0), count(10, 1)).text).toMatch(/an arm has no users with an ended window$/);
    expect(concluded(count(10, 0), count(10, 0)).text).toMatch(/every user has the same value$/);
  });
});
