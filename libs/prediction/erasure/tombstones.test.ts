import { describe, expect, it } from 'vitest';
import { createTombstoneMemory } from './tombstones.ts';

describe('the tombstones that a process has heard of', () => {
  it('are found by user; of nobody else anything was heard', () => {
    const memory = createTombstoneMemory('h');
    memory.learn([[1, 'a', 4]], 1);
    expect([memory.deletedVersion('a'), memory.deletedVersion('b'), memory.count]).toEqual([4, 0, 1]);
  });

  it('only grow, whichever statement brings them first', () => {
    const memory = createTombstoneMemory('h');
    memory.learn([[3, 'a', 9]], 3);
    memory.learn([[1, 'a', 4]], 2);
    expect([memory.deletedVersion('a'), memory.count]).toEqual([9, 3]);
  });

  it('are no more than there is room for', () => {
    const memory = createTombstoneMemory('h', 2);
    memory.learn([[1, 'a', 1]], 1);
    expect(memory.isFull).toBe(false);
    memory.learn([[2, 'b', 1]], 2);
    expect(memory.isFull).toBe(true);
  });
});
