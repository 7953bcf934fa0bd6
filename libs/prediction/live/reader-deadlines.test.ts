import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createReaderDeadlines, type Timed } from './reader-deadlines.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function createReaders() {
  const deadlines = createReaderDeadlines();
  const ended: { name: string; at: number }[] = [];
  const add = (name: string, timeoutMs: number): Timed => {
    const end = () => void ended.push({ name, at: performance.now() });
    const reader = { deadline: performance.now() + timeoutMs, index: -1, end };
    deadlines.add(reader, timeoutMs);
    return reader;
  };
  return { add, remove: deadlines.remove, ended };
}

test('each reader is ended once, at most a twentieth of its time early and never late', () => {
  const { add, ended } = createReaders();
  const due = new Map<string, { at: number; timeoutMs: number }>();
  for (let n = 0; n < 60; n++) {
    const timeoutMs = [1_000, 200, 60][n % 3] as number;
    due.set(`${n}`, { at: performance.now() + timeoutMs, timeoutMs });
    add(`${n}`, timeoutMs);
    vi.advanceTimersByTime(7);
  }
  vi.advanceTimersByTime(1_000);
  expect(ended.map(({ name }) => Number(name)).sort((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, n) => n));
  for (const { name, at } of ended) {
    const { at: deadline, timeoutMs } = due.get(name) ?? { at: 0, timeoutMs: 0 };
    expect(at).toBeLessThanOrEqual(deadline);
    expect(at).toBeGreaterThanOrEqual(deadline - timeoutMs / 20);
  }
  expect(vi.getTimerCount()).toBe(0);
});

test('a removed reader is not ended, and its removal ends no other reader', () => {
  const { add, remove, ended } = createReaders();
  const [first, second, third, fourth] = ['1', '2', '3', '4'].map((name) => add(name, 100));
  for (const gone of [first, third, third, fourth]) if (gone) remove(gone);
  vi.advanceTimersByTime(100);
  expect(ended.map(({ name }) => name)).toEqual(['2']);
  if (second) remove(second);
  add('5', 100);
  vi.advanceTimersByTime(100);
  expect(ended.map(({ name }) => name)).toEqual(['2', '5']);
});
