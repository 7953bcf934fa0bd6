import { describe, expect, it } from 'vitest';
import { createTombstoneMemory } from './certificate.ts';

describe('the tombstones that a process knows', () => {
  it('are found by user, and by no other user', () => {
    const memory = createTombstoneMemory('h');
    memory.learn([[1, 'a', 4]], 1);
    expect([memory.deletedVersion('a'), memory.deletedVersion('b'), memory.count]).toEqual([4, 0, 1]);
  });

  it('only grow, in whatever order statements return them', () => {
    const memory = createTombstoneMemory('h');
    memory.learn([[3, 'a', 9]], 3);
    memory.learn([[1, 'a', 4]], 2);
    expect([memory.deletedVersion('a'), memory.count]).toEqual([9, 3]);
  });

  it('are full at the limit, which is reported once', () => {
    const said: number[] = [];
    const memory = createTombstoneMemory('h', { most: 2, onFull: (count) => said.push(count) });
    memory.learn([[1, 'a', 1]], 1);
    expect([memory.isFull, said]).toEqual([false, []]);
    memory.learn([[2, 'b', 1]], 2);
    memory.learn([[3, 'c', 1]], 3);
    expect([memory.isFull, said]).toEqual([true, [2]]);
  });

  it('belong to one history; another history begins empty, with the same limit', () => {
    const memory = createTombstoneMemory('h', { most: 1 });
    memory.learn([[1, 'a', 4]], 1);
    expect(memory.inHistory('h')).toBe(memory);
    const other = memory.inHistory('g');
    expect([other.history, other.count, other.deletedVersion('a'), other.isFull]).toEqual(['g', 0, 0, false]);
    other.learn([[1, 'b', 1]], 1);
    expect(other.isFull).toBe(true);
  });
});
