import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Question } from './messages.ts';
import { createQuestions } from './questions.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function createProcess() {
  const sent: [id: number, question: Question][] = [];
  const questions = createQuestions((id, question) => void sent.push([id, question]));
  return { ...questions, sent };
}

it('a process that hangs delays only the first answer, by 250 ms, and its last answer counts for 5 s', async () => {
  const { ask, receive, sent } = createProcess();
  const first = ask('readiness');
  receive(1, 'ready');
  expect(await first).toBe('ready');

  // From here on the process hangs.
  const second = ask('readiness');
  await vi.advanceTimersByTimeAsync(100);
  const third = ask('readiness');
  await vi.advanceTimersByTimeAsync(150);
  expect(await Promise.all([second, third])).toEqual(['ready', 'ready']);
  expect(await ask('readiness')).toBe('ready');
  await vi.advanceTimersByTimeAsync(5_000);
  expect(await ask('readiness')).toBeNull();
  expect(sent).toEqual([
    [1, 'readiness'],
    [2, 'readiness'],
  ]);

  receive(2, 'degraded');
  const next = ask('readiness');
  receive(3, 'ready');
  expect(await next).toBe('ready');
});

it('the series of a process that hangs are left out after one longer wait', async () => {
  const { ask, receive } = createProcess();
  const scrape = ask('exposition');
  receive(1, 'series');
  expect(await scrape).toBe('series');
  const late = ask('exposition');
  await vi.advanceTimersByTimeAsync(1_500);
  expect(await late).toBeNull();
  expect(await ask('exposition')).toBeNull();
});

it('questions of different kinds do not wait for one another', async () => {
  const { ask, receive } = createProcess();
  const [readiness, exposition] = [ask('readiness'), ask('exposition')];
  receive(2, 'series');
  receive(1, 'ready');
  expect(await Promise.all([readiness, exposition])).toEqual(['ready', 'series']);
});
