import { expect, test } from 'vitest';
import { createRandom, createUserLoad, drawDelay, LOAD } from './refresh-load.ts';

test('delays have the documented median and the documented share of short delays', () => {
  const random = createRandom(1);
  const delays = Array.from({ length: 200_000 }, () => drawDelay(random)).sort((a, b) => a - b);
  expect((delays[100_000] ?? 0) / LOAD.medianDelayMs).toBeCloseTo(1, 1);
  const short = delays.filter((ms) => ms < LOAD.shortDelayMs).length / delays.length;
  expect(short / LOAD.shareOfShort).toBeCloseTo(1, 0);
});

test('each call creates the same load, and events cause reads of their users', () => {
  const draw = () => {
    const load = createUserLoad(1_000_000, 0.8);
    const events = Array.from({ length: 5_000 }, (_, n) => load.eventUser(n));
    const reads = Array.from({ length: 20_000 }, (_, n) => load.readUser(n));
    return { events, reads };
  };
  const [one, other] = [draw(), draw()];
  expect(other).toEqual(one);
  const changed = new Set(one.events);
  expect(one.reads.filter((user) => changed.has(user)).length).toBeGreaterThan(500);
});
