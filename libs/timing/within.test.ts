import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { within } from './within.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const tooLate = () => new Error('too late');

it('resolves and rejects as the work does, and leaves no timer running', async () => {
  expect(await within(100, Promise.resolve(1), tooLate)).toBe(1);
  await expect(within(100, Promise.reject(new Error('no')), tooLate)).rejects.toThrow('no');
  expect(vi.getTimerCount()).toBe(0);
});

it('rejects when the time is over; a later failure of the work is not unhandled', async () => {
  const { promise, reject } = Promise.withResolvers<never>();
  const waiting = expect(within(100, promise, tooLate)).rejects.toThrow('too late');
  await vi.advanceTimersByTimeAsync(100);
  await waiting;
  reject(new Error('later'));
  await vi.advanceTimersByTimeAsync(0);
});

it('rejects without a warning of Node if the deadline has passed', async () => {
  vi.useRealTimers();
  const warnings: Error[] = [];
  const note = (warning: Error) => void warnings.push(warning);
  process.on('warning', note);
  await expect(within(-5, Promise.withResolvers<never>().promise, tooLate)).rejects.toThrow('too late');
  await new Promise(setImmediate);
  process.off('warning', note);
  expect(warnings).toEqual([]);
});
