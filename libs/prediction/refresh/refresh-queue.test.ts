import { describe, expect, it } from 'vitest';
import { RefreshQueue } from './refresh-queue.ts';

function createQueue(most?: number) {
  const clock = { now: 0 };
  const dropped: string[] = [];
  const queue = new RefreshQueue({
    ...(most === undefined ? {} : { most }),
    delayMs: () => 1_000,
    onDropped: (users, why) => void dropped.push(`${users} ${why}`),
    now: () => clock.now,
  });
  const weigh = (weights: Record<string, number>) => {
    for (const user of queue.unweighed(1_000)) user.weight = weights[user.userId] ?? 0;
  };
  const take = (limit: number) => queue.takeDue(limit).map(({ userId }) => userId);
  return { clock, queue, dropped, weigh, take };
}

describe('the refresh queue', () => {
  it('gives a user once for a burst of events, after the delay from the first event', () => {
    const { clock, queue, take } = createQueue();
    for (clock.now = 0; clock.now < 900; clock.now += 10) queue.add('1', 5);
    expect(take(10)).toEqual([]);
    expect(queue.oldestMs()).toBe(905);
    clock.now = 1_000;
    expect(take(10)).toEqual(['1']);
    expect(queue.size).toBe(0);
    expect(queue.oldestMs()).toBe(0);
  });

  it('gives a user again if an event names the user after the user was taken', () => {
    const { clock, queue, take } = createQueue();
    queue.add('1', 1_000);
    expect(take(10)).toEqual(['1']);
    queue.add('1', 0);
    clock.now = 1_000;
    expect(take(10)).toEqual(['1']);
  });

  it('gives the users that are most likely to be read first, then the longest waiting', () => {
    const { queue, weigh, take } = createQueue();
    for (const [i, userId] of ['a', 'b', 'c', 'd'].entries()) queue.add(userId, 2_000 - i);
    weigh({ c: 3, d: 5 });
    expect(take(3)).toEqual(['d', 'c', 'a']);
    expect(take(3)).toEqual(['b']);
  });

  it('requests the weight of a user once', () => {
    const { queue, weigh } = createQueue();
    queue.add('1', 0);
    weigh({});
    queue.add('2', 0);
    queue.add('1', 0);
    expect(queue.unweighed(10).map(({ userId }) => userId)).toEqual(['2']);
  });

  it('lets a user wait for the next window, even if an event has named the user again', () => {
    const { clock, queue, take } = createQueue();
    queue.add('1', 1_000);
    const [user] = queue.takeDue(1);
    if (!user) throw new Error('no user was taken');
    queue.add('1', 1_000);
    queue.putBack(user, 500);
    expect(take(10)).toEqual([]);
    clock.now = 500;
    expect(take(10)).toEqual(['1']);
  });

  it('drops and counts users that do not fit', () => {
    const { queue, dropped } = createQueue(2);
    for (const userId of ['1', '2', '3', '2']) queue.add(userId, 0);
    expect(queue.size).toBe(2);
    expect(dropped).toEqual(['1 full']);
  });

  it('keeps half of its room for new users, and drops the waiting users that are least likely to be read', () => {
    const { queue, weigh, take, dropped } = createQueue(6);
    for (const userId of ['1', '2', '3', '4', '5', '6']) queue.add(userId, 2_000);
    weigh({ 5: 1, 6: 2 });
    expect(take(1)).toEqual(['6']);
    expect(dropped).toEqual(['3 full']);
    expect(take(10)).toEqual(['5', '1']);
  });

  it('drops a user that has been due for a minute', () => {
    const { clock, queue, take, dropped } = createQueue();
    queue.add('1', 0);
    clock.now = 61_001;
    expect(take(10)).toEqual([]);
    expect(queue.size).toBe(0);
    expect(dropped).toEqual(['1 late']);
  });
});
