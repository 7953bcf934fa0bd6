import { describe, expect, it } from 'vitest';
import type { ArmSample } from '../sequential/effect.ts';
import { compareOutcome } from './compare-outcome.ts';
import { forecasts } from './forecast.fixture.ts';
import { SIMULATED_METRICS } from './simulated-experiments.fixture.ts';

const count = (users: number, events: number): ArmSample => ({ users, sum: events, sumOfSquares: events });
const asked = { name: 'order', armName: 'b', better: 'higher', alpha: 0.05, minimumEffect: 0.1 } as const;
const forecast = (days: number, one = count(2_000, 200), other = count(2_000, 205)) =>
  compareOutcome({ ...asked, stable: one, arm: other, days });

describe('a forecast', () => {
  it('is not given 34 s after the start, but after a day', () => {
    const { power, conclusion } = forecast(34 / 86_400);
    expect(power.moreDays).toBeNull();
    expect(conclusion.text).toBe(
      'order: not decided between b and stable; there is not enough data yet to estimate the time to find a difference of 10 %',
    );
    expect(forecast(0.99).power.moreDays).toBeNull();
    const later = forecast(1);
    expect(later.conclusion.text).toMatch(/; \d+ to \d+ more days to find a difference of 10 %$/);
    expect(later.power.moreDays?.upper).toBeGreaterThan(8 * (later.power.moreDays?.lower ?? 0));
  });

  it('is not given as long as an arm has fewer than 30 users with the event', () => {
    expect(forecast(9, count(2_000, 200), count(2_000, 29)).power).toMatchObject({ moreDays: null, usersNeeded: null });
    expect(forecast(9, count(2_000, 200), count(2_000, 30)).power.moreDays).not.toBeNull();
  });

  it.each(['binary, 2 %', 'Pareto 2.2, 8 % buy'])('of %s contains the true number in at least 90 %%', (name) => {
    const metric = SIMULATED_METRICS.find((one) => one.name === name);
    if (!metric) throw new Error(`no metric ${name}`);
    const { given, right, withoutData } = forecasts(metric, 0.1, 30);
    expect(given).toBeGreaterThan(80);
    expect(withoutData).toBeGreaterThan(10);
    expect(right / given).toBeGreaterThanOrEqual(0.9);
  });
});
