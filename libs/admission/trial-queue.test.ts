import { expect, it } from 'vitest';
import { createTrialQueue } from './trial-queue.ts';

it('tells who comes behind the trial that waits when to come back', async () => {
  const trials = createTrialQueue();
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const both = [trials.run(() => held), trials.run(async () => {})];
  await expect(trials.run(async () => {})).rejects.toMatchObject({ code: 'overloaded', retryAfter: 10 });
  release();
  await Promise.all(both);
});
