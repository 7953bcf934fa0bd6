import { Histogram, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { createTimerSeries } from './series.ts';

test("is exported like prom-client's own histogram of the same observations", async () => {
  const [ours, theirs] = [new Registry(), new Registry()];
  for (const registry of [ours, theirs]) registry.setDefaultLabels({ app: 'api' });
  const options = {
    name: 'took_seconds',
    help: 'Time.',
    labelNames: ['route', 'status'] as const,
    buckets: [0.1, 1, 2],
  };
  const series = createTimerSeries({ ...options, registry: ours });
  const histogram = new Histogram({ ...options, labelNames: ['route', 'status'], registers: [theirs] });
  const observations = [
    ['read', '200', 0.05],
    ['read', '200', 0.1],
    ['read', '200', 1.5],
    ['read', '404', 7],
    ['send "it"', '200', 2],
  ] as const;
  for (const [route, status, seconds] of observations) {
    series.labels({ route, status }).observe(seconds);
    histogram.observe({ route, status }, seconds);
  }
  expect(await ours.metrics()).toBe(await theirs.metrics());
  expect(series.labels({ route: 'read', status: '200' })).toBe(series.labels({ route: 'read', status: '200' }));
});
