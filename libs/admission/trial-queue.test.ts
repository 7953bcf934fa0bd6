import { expect, it } from 'vitest';
import { createTrialQueue } from './trial-queue.ts';

it('while a trial waits, further callers are told when to retry', async () => {
  const trials = createTrialQueue();
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const both = [trials.run(() => held), trials.run(async () => {})];
  await expect(trials.run(async () => {})).rejects.toMatchObject({ code: 'overloaded', retryAfter: 10 });
  release();
  await Promise.all(both);
});
