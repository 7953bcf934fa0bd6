import { expect, test } from 'vitest';
import { ProblemError, UnreachableError } from './client-errors.ts';
import { createRetryBudget, retry, sleepFor } from './retry.ts';

const problem = (status: number, retryAfter?: number) =>
  new ProblemError({ type: 'https://example.test/problems/unavailable', status, title: 'x' }, retryAfter);

/** Creates a clock that advances only during sleeps. */
function createPatience(retryForMs: number) {
  const clock = { now: 0, pauses: [] as number[] };
  const sleep = async (ms: number) => {
    clock.pauses.push(ms);
    clock.now += ms;
  };
  const now = () => clock.now;
  return { clock, options: { retryForMs, budget: createRetryBudget(now), random: () => 0.5, now, sleep } };
}

async function failTimes(errors: unknown[], retryForMs = 60_000) {
  const { clock, options } = createPatience(retryForMs);
  let attempts = 0;
  const outcome = retry(options, undefined, async () => {
    const error = errors[attempts++];
    if (error !== undefined) throw error;
    return 'done';
  });
  return { result: await outcome.catch((error) => error), attempts, pauses: clock.pauses };
}

test('a 503 and a lost connection are followed by another attempt, each later than the one before', async () => {
  const lost = new UnreachableError('http://x', false, 'reset');
  expect(await failTimes([problem(503), lost, lost])).toEqual({ result: 'done', attempts: 4, pauses: [75, 150, 300] });
});

test('a retry waits at least as long as Retry-After', async () => {
  expect((await failTimes([problem(503, 2)])).pauses).toEqual([2000]);
});

test.each([400, 409, 422, 500])('a %i is final: repeating the same request cannot fix it', async (status) => {
  const refused = problem(status);
  expect(await failTimes([refused])).toEqual({ result: refused, attempts: 1, pauses: [] });
});

test('a 429 of a key is retried after Retry-After; without it, the call alone exceeds the limit', async () => {
  const limited = (retryAfter?: number) =>
    new ProblemError({ type: 'urn:tandem:problem:rate_limited', status: 429, title: 'x' }, retryAfter);
  expect(await failTimes([limited(3)])).toEqual({ result: 'done', attempts: 2, pauses: [3000] });
  expect(await failTimes([limited()])).toMatchObject({ attempts: 1, pauses: [] });
});

test('no attempt begins after the caller’s time limit', async () => {
  const away = problem(503);
  const { result, attempts } = await failTimes(Array(50).fill(away), 1_000);
  expect(result).toBe(away);
  expect(attempts).toBe(4);
});

test('an aborted sleep ends at once, with the reason', async () => {
  const controller = new AbortController();
  const sleeping = sleepFor(60_000, controller.signal);
  controller.abort(new Error('enough'));
  await expect(sleeping).rejects.toThrow('enough');
  await expect(sleepFor(60_000, controller.signal)).rejects.toThrow('enough');
});
