/** Tests the promise of docs/experiments.md: a forecast's range contains the true number in at least 90 %. */
import { describe, expect, it } from 'vitest';
import { forecasts } from './forecast.fixture.ts';
import { SIMULATED_METRICS } from './simulated-experiments.fixture.ts';

describe.each(SIMULATED_METRICS)('the range of a forecast of $name', (metric) => {
  it.each([0.5, 0.1, 0.01])('contains the true number of users in at least 90 %% in an arm of %d', (share) => {
    const { given, right } = forecasts(metric, share, 200);
    if (given >= 20) expect(right / given).toBeGreaterThanOrEqual(0.9);
  });
});
