import { afterEach, describe, expect, it, vi } from 'vitest';
import { inGeneration } from './certified-read.fixture.ts';
import { createPredictionMemory, HALF_LIFE_MS } from './prediction-memory.ts';

const { outputs: _outputs, ...label } = inGeneration(0);
const remembered = (score: number) => ({ label, prediction: { score } });
/** The bytes that the memory counts for one prediction of these tests. */
const BYTES = 790 + 2 + 16;

afterEach(() => void vi.useRealTimers());

describe('createPredictionMemory', () => {
  it('finds kept predictions by generation and user until they are forgotten', () => {
    const memory = createPredictionMemory({ maxBytes: 1e6 });
    memory.keep('g1', '1', remembered(1));
    memory.keep('g1', '2', remembered(2));
    memory.keep('g2', '1', remembered(3));
    expect(memory.find('g1', '1')?.prediction).toEqual({ score: 1 });
    expect(memory.find('g2', '1')?.prediction).toEqual({ score: 3 });
    expect(memory.find('g2', '2')).toBeUndefined();
    memory.forgetUser('1');
    expect(memory.find('g1', '1')).toBeUndefined();
    expect(memory.find('g1', '2')?.prediction).toEqual({ score: 2 });
  });

  it('forgets a user of every generation, and no other user', () => {
    const memory = createPredictionMemory({ maxBytes: 1e6 });
    for (const generation of ['g1', 'g2']) for (const user of ['1', '2']) memory.keep(generation, user, remembered(1));
    memory.forgetUser('1');
    expect(memory.find('g1', '1') ?? memory.find('g2', '1')).toBeUndefined();
    expect(memory.size()).toBe(2);
  });

  it('also forgets a user’s entries that were not read for a while', () => {
    vi.useFakeTimers();
    const memory = createPredictionMemory({ maxBytes: 1e6 });
    for (const user of ['1', '2', '3']) memory.keep('g1', user, remembered(1));
    vi.advanceTimersByTime(HALF_LIFE_MS);
    memory.forgetUser('1');
    memory.forgetUser('2');
    expect(memory.size()).toBe(1);
    expect(memory.find('g1', '3')).toBeDefined();
  });

  it('holds no more than its limit, and keeps the entries that were read last', () => {
    const memory = createPredictionMemory({ maxBytes: 20 * BYTES });
    for (let user = 10; user < 1_000; user++) {
      memory.keep('g', String(user), remembered(user));
      if (user > 10) expect(memory.find('g', '10')?.prediction).toEqual({ score: 10 });
    }
    const found = Array.from({ length: 990 }, (_, i) => memory.find('g', String(i + 10))).filter(Boolean);
    expect(found.length).toBeGreaterThan(5);
    expect(found.length).toBeLessThanOrEqual(20);
  });

  it('expires unread entries by the clock alone, without reads or writes', () => {
    vi.useFakeTimers();
    const memory = createPredictionMemory({ maxBytes: 1e6 });
    memory.keep('g', 'erased elsewhere', remembered(1));
    memory.keep('g', 'read', remembered(2));
    for (let turn = 0; turn < 3; turn++) {
      vi.advanceTimersByTime(HALF_LIFE_MS);
      expect(memory.find('g', 'read')).toBeDefined();
    }
    expect(memory.find('g', 'erased elsewhere')).toBeUndefined();
    vi.advanceTimersByTime(2 * HALF_LIFE_MS);
    expect(memory.find('g', 'read')).toBeUndefined();
    // The timer runs only while something is remembered.
    vi.advanceTimersByTime(HALF_LIFE_MS);
    expect(vi.getTimerCount()).toBe(0);
    memory.keep('g', 'again', remembered(3));
    expect(vi.getTimerCount()).toBe(1);
  });

  it('shares one label among the users of a chunk, and keeps a different label separately', () => {
    const memory = createPredictionMemory({ maxBytes: 1e6 });
    memory.keep('g', '1', { label: { ...label }, prediction: { score: 1 } });
    memory.keep('g', '2', { label: { ...label }, prediction: { score: 2 } });
    memory.keep('g', '3', { label: { ...label, contextVersion: 5 }, prediction: { score: 3 } });
    expect(memory.find('g', '2')?.label).toBe(memory.find('g', '1')?.label);
    expect(memory.find('g', '3')?.label).toEqual({ ...label, contextVersion: 5 });
    expect(memory.find('g', '2')?.label).toEqual(label);
  });

  it('keeps nothing if its limit is 0', () => {
    const memory = createPredictionMemory({ maxBytes: 0 });
    memory.keep('g', '1', remembered(1));
    expect(memory.find('g', '1')).toBeUndefined();
  });
});
