import { expect, it } from 'vitest';
import { createEventMemory, NOT_ACKNOWLEDGED } from './event-memory.ts';

it('remembers a hundred thousand events with their users and versions', () => {
  const memory = createEventMemory();
  const many = 100_000;
  for (let i = 0; i < many; i++) {
    const place = memory.place(`writer-1-${i}`);
    memory.describe(place, i % 1_000, i);
    if (i % 10 !== 0) memory.acknowledge(place, 1 + Math.floor(i / 1_000));
  }
  expect(memory.size).toBe(many);
  const wrong: number[] = [];
  for (let i = 0; i < many; i++) {
    const place = memory.find(`writer-1-${i}`);
    const version = 1 + Math.floor(i / 1_000);
    const isAcknowledged = i % 10 !== 0;
    const isRight =
      memory.place(`writer-1-${i}`) === place &&
      memory.user(place) === i % 1_000 &&
      memory.score(place) === i &&
      memory.version(place) === (isAcknowledged ? version : NOT_ACKNOWLEDGED) &&
      memory.holder(i % 1_000, version) === (isAcknowledged ? place : -1);
    if (!isRight) wrong.push(i);
  }
  expect(wrong).toEqual([]);
  expect(memory.find('writer-2-1')).toBe(-1);
});

it('returns true only for the first time that a place gets a mark', () => {
  const memory = createEventMemory();
  const place = memory.place('a');
  expect([memory.mark(place, 1), memory.mark(place, 2), memory.mark(place, 1)]).toEqual([true, true, false]);
  expect([memory.isMarked(place, 2), memory.isMarked(place, 4)]).toEqual([true, false]);
  memory.unmark(2);
  expect([memory.isMarked(place, 1), memory.isMarked(place, 2)]).toEqual([true, false]);
});
