import { expect, it } from 'vitest';
import { createTrialQueue } from './trial-queue.ts';

it('runs one at a time; one waits, and the next is told when to come back', async () => {
  const { run } = createTrialQueue();
  const { promise: held, resolve: release } = Promise.withResolvers<string>();
  const order: string[] = [];
  const first = run(async () => {
    order.push('first');
    return held;
  });
  const second = run(async () => order.push('second'));
  await expect(run(async () => order.push('third'))).rejects.toMatchObject({ code: 'overloaded', retryAfter: 10 });
  expect(order).toEqual(['first']);
  release('done');
  expect(await first).toBe('done');
  await second;
  await run(async () => order.push('fourth'));
  expect(order).toEqual(['first', 'second', 'fourth']);
});

it('goes on after a trial that failed', async () => {
  const { run } = createTrialQueue();
  const failed = run(() => Promise.reject(new Error('refused')));
  const next = run(async () => 'tried');
  await expect(failed).rejects.toThrow('refused');
  expect(await next).toBe('tried');
});
