import { expect, it } from 'vitest';
import { OneAtATime } from './one-at-a-time.ts';

const create = () => new OneAtATime({ mayWait: 1, refuse: () => new Error('full') });

it('runs one call at a time, lets one wait, and refuses the next', async () => {
  const queue = create();
  const { promise: held, resolve: release } = Promise.withResolvers<string>();
  const order: string[] = [];
  expect(queue.isIdle).toBe(true);
  const first = queue.run(async () => {
    order.push('first');
    return held;
  });
  const second = queue.run(async () => order.push('second'));
  await expect(queue.run(async () => order.push('third'))).rejects.toThrow('full');
  expect([order, queue.isIdle]).toEqual([['first'], false]);
  release('done');
  expect(await first).toBe('done');
  await second;
  await queue.run(async () => order.push('fourth'));
  expect([order, queue.isIdle]).toEqual([['first', 'second', 'fourth'], true]);
});

it('without options, lets any number of calls wait', async () => {
  const queue = new OneAtATime();
  const order: number[] = [];
  await Promise.all([1, 2, 3, 4].map((i) => queue.run(async () => void order.push(i))));
  expect(order).toEqual([1, 2, 3, 4]);
});

it('continues after failed work', async () => {
  const queue = create();
  const failed = queue.run(() => Promise.reject(new Error('refused')));
  const next = queue.run(async () => 'tried');
  await expect(failed).rejects.toThrow('refused');
  expect(await next).toBe('tried');
});
