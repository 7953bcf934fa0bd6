import { createRandom } from '@tandem/experiment/distributions/random';
import { expect, it } from 'vitest';
import { createDice, createRecentEvents, type RecentEvent, repeat } from './load-parts.ts';

const dice = createDice(createRandom(1));

function event(no: number, history: string): RecentEvent {
  const said = {
    source: 'load',
    id: String(no),
    userId: '1',
    type: 'changed',
    score: no,
    changedAt: no,
    firstSent: no,
  };
  return { ...said, contextVersion: no, contextToken: `${history}.${no}` };
}

it('remembers the last events, and picks one of the newest', () => {
  const recent = createRecentEvents();
  expect(recent.any(dice)).toBeUndefined();
  for (let no = 1; no <= 5_000; no++) recent.add(event(no, 'a'));
  const any = Array.from({ length: 2_000 }, () => recent.any(dice)?.contextVersion ?? 0);
  const newest = Array.from({ length: 200 }, () => recent.newest(dice)?.contextVersion ?? 0);
  expect(Math.min(...any)).toBeGreaterThan(5_000 - 1_024);
  expect(Math.min(...any)).toBeLessThan(4_100);
  expect([Math.min(...newest), Math.max(...newest)]).toEqual([4_993, 5_000]);
});

it('forgets the old history at the first event of a new one, and ignores late events of the old', () => {
  const recent = createRecentEvents();
  for (let no = 1; no <= 10; no++) recent.add(event(no, 'a'));
  recent.add(event(3, 'b'));
  recent.add(event(11, 'a'));
  expect(new Set(Array.from({ length: 50 }, () => recent.any(dice)?.contextToken))).toEqual(new Set(['b.3']));
});

it('does not wait for the next moment of an actor once the load stops', async () => {
  let acts = 0;
  // The next moment would be a thousand seconds later.
  await repeat({ isStopping: () => acts > 0 }, 0.001, async () => void acts++);
  expect(acts).toBe(1);
});
