import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createProgressReporter } from './progress.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const wait = (ms: number) => () => new Promise<number>((settle) => setTimeout(settle, ms, ms));

test('only a step that takes some seconds is reported, only once, and its result is returned', async () => {
  const said: string[] = [];
  const reportProgress = createProgressReporter({ write: (text) => said.push(text) });
  const quick = reportProgress('reading the config', wait(1_000));
  await vi.advanceTimersByTimeAsync(60_000);
  expect([await quick, said]).toEqual([1_000, []]);
  const slow = reportProgress('reading users', wait(30_000));
  await vi.advanceTimersByTimeAsync(60_000);
  expect([await slow, said]).toEqual([30_000, ['still reading users …\n']]);
});
