import { randomFrom } from '@tandem/experiment/distributions/draws.fixture';
import { describe, expect, it } from 'vitest';
import type { ArmSample } from '../sequential/effect.ts';
import { compareOutcome } from './compare-outcome.ts';
import { endedWith, forecasts, trueNeed } from './forecast.fixture.ts';
import { CAPPED_METRICS, SIMULATED_METRICS, type SimulatedMetric } from './simulated-experiments.fixture.ts';

const count = (users: number, events: number): ArmSample => ({ users, sum: events, sumOfSquares: events });
const asked = {
  name: 'order',
  kind: 'binary',
  armName: 'b',
  better: 'higher',
  alpha: 0.05,
  minimumEffect: 0.1,
} as const;
const forecast = (days: number, one = count(2_000, 200), other = count(2_000, 205)) =>
  compareOutcome({ ...asked, stable: one, arm: other, days });

function metricOf(name: string): SimulatedMetric {
  const metric = [...SIMULATED_METRICS, ...CAPPED_METRICS].find((one) => one.name === name);
  if (!metric) throw new Error(`no metric ${name}`);
  return metric;
}

describe('a forecast', () => {
  it('is not given 34 s after the start, but after a day', () => {
    const { power, conclusion } = forecast(34 / 86_400);
    expect(power.moreDays).toBeNull();
    expect(conclusion.text).toBe(
      'order: not decided between b and stable; there is not enough data yet to estimate the time to find or rule out a difference of 10 %',
    );
    expect(forecast(0.99).power.moreDays).toBeNull();
    const later = forecast(1);
    expect(later.conclusion.text).toMatch(/; \d+ to \d+ more days to find or rule out a difference of 10 %$/);
    expect(later.power.moreDays?.upper).toBeGreaterThan(8 * (later.power.moreDays?.lower ?? 0));
  });

  it('is not given as long as an arm has fewer than 30 users with the event', () => {
    expect(forecast(9, count(2_000, 200), count(2_000, 29)).power).toMatchObject({ moreDays: null, usersNeeded: null });
    expect(forecast(9, count(2_000, 200), count(2_000, 30)).power.moreDays).not.toBeNull();
  });

  it.each(['10 ± 8, cap 500', '10 ± 8, cap 2000'])(
    'of %s is enough for at least 80 of 100 experiments with equal arms, with the users that the conclusion must survive, and half is not',
    (name) => {
      const metric = metricOf(name);
      const [stable, arm] = [metric.draw(randomFrom(1), 5_000), metric.draw(randomFrom(2), 5_000)];
      const { kind, cap } = metric;
      const users = compareOutcome({ ...asked, kind, cap, stable, arm, days: 1 }).power.usersNeeded ?? 0;
      // Two standard deviations of a share of 100 draws are 0.08.
      expect(endedWith(metric, 0.5, users, 100)).toBeGreaterThan(0.8 - 0.08);
      expect(endedWith(metric, 0.5, users / 2, 100)).toBeLessThan(0.6);
    },
  );

  it.each([
    ['binary, 2 %', 0.1, 0.5],
    ['binary, 8 %', 0.1, 0.1],
    ['binary, 8 %', -0.1, 0.1],
    ['binary, 8 %', 0.1, 0.01],
    ['the shop’s own', -0.1, 0.5],
  ] as const)('of %s is enough to find an effect of %d in an arm of %d', (name, effect, share) => {
    const metric = metricOf(name);
    expect(endedWith(metric, share, trueNeed(metric, share), 100, effect)).toBeGreaterThan(0.8);
  });

  it.each(['binary, 2 %', 'lognormal, 8 % buy, cap 20', '10 ± 8, cap 500'])(
    'of %s contains the true number in at least 90 of 100',
    (name) => {
      const { given, right } = forecasts(metricOf(name), 0.1, 30);
      expect(given).toBeGreaterThan(80);
      expect(right / given).toBeGreaterThanOrEqual(0.9);
    },
  );
});
