import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createGatheredRefusals } from './gathered-refusals.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** Records the time at which each refusal is answered. */
function createWorld(patienceMs?: number) {
  const refusals = createGatheredRefusals(patienceMs);
  const start = performance.now();
  const told: [name: string, ms: number][] = [];
  return {
    told,
    refuse: (name: string, timeoutMs = 500) =>
      refusals.add(() => told.push([name, Math.round(performance.now() - start)]), timeoutMs),
  };
}

describe('gathered refusals', () => {
  it('are answered in one turn, in order, ten milliseconds after the first', () => {
    const { told, refuse } = createWorld();
    refuse('a');
    vi.advanceTimersByTime(4);
    refuse('b');
    vi.advanceTimersByTime(5);
    refuse('c');
    expect(told).toEqual([]);
    vi.advanceTimersByTime(50);
    expect(told).toEqual([
      ['a', 10],
      ['b', 10],
      ['c', 10],
    ]);
  });

  it('wait at most a twentieth of their time, and all as long as the shortest', () => {
    const { told, refuse } = createWorld();
    refuse('patient', 10_000);
    refuse('hurried', 40);
    refuse('patient too');
    vi.advanceTimersByTime(50);
    expect(told.map(([, ms]) => ms)).toEqual([2, 2, 2]);
  });

  it('are answered immediately if the patience is 0', () => {
    const { told, refuse } = createWorld(0);
    refuse('a');
    expect(told).toEqual([['a', 0]]);
  });

  it('wait again after a turn', () => {
    const { told, refuse } = createWorld();
    refuse('a');
    vi.advanceTimersByTime(30);
    refuse('b');
    vi.advanceTimersByTime(30);
    expect(told).toEqual([
      ['a', 10],
      ['b', 40],
    ]);
  });
});
