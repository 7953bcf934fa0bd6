import { expect, test } from 'vitest';
import { decideRestart, MOST_QUICK_DEATHS, STEADY_AFTER_MS } from './supervise.ts';

test('a process that keeps dying soon is restarted after longer pauses, then given up', () => {
  let quickDeaths = 0;
  const pauses: (number | null)[] = [];
  for (let death = 1; death <= MOST_QUICK_DEATHS; death += 1) {
    const decision = decideRestart(50, quickDeaths);
    quickDeaths = decision.quickDeaths;
    pauses.push(decision.pauseMs);
  }
  expect(pauses).toEqual([200, 600, 1800, 5000, null]);
});

test('a death after a long run counts as the first again', () => {
  expect(decideRestart(STEADY_AFTER_MS, 4)).toEqual({ quickDeaths: 0, pauseMs: 200 });
});
