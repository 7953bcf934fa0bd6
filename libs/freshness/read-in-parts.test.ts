import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TandemError } from './errors.ts';
import { inParts } from './read-in-parts.ts';
import { PLAIN_READ } from './read-options.ts';

const USERS = Array.from({ length: 250 }, (_, i) => String(i));
/** Each user's error stands for an answer, and names the user. */
const resultOf = (userId: string) => new TandemError('unknown_user', userId);

/** Lets the event loop turn, so that waiting parts can begin. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

function createRead() {
  const asked: (readonly string[])[] = [];
  const read = inParts(async (_, userIds) => {
    asked.push(userIds);
    if (userIds.includes('failing')) throw new TandemError('unknown_predictor', 'failed');
    return userIds.map(resultOf);
  });
  return { asked, read: async (userIds: readonly string[]) => (await read('p', userIds, PLAIN_READ)).map(String) };
}

it('reads many users in parts, and returns their results in order', async () => {
  const { asked, read } = createRead();
  expect(await read(USERS)).toEqual(USERS.map((userId) => String(resultOf(userId))));
  expect(asked.map(({ length }) => length)).toEqual([100, 100, 50]);
});

describe('the pace of parts', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  /** Waits until all timers of the read have run. */
  async function finish(reading: Promise<unknown>): Promise<void> {
    await vi.runAllTimersAsync();
    await reading;
  }

  it('is smaller parts, one at a time, after a read of few users', async () => {
    let [running, most, time] = [0, 0, 0];
    let sizes: number[] = [];
    const read = inParts(
      async (_, userIds) => {
        sizes.push(userIds.length);
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 5));
        running--;
        return userIds.map(resultOf);
      },
      { now: () => time, active: () => 0 },
    );
    await finish(read('p', ['1'], PLAIN_READ));
    await finish(read('p', USERS, PLAIN_READ));
    expect({ sizes, most }).toEqual({ sizes: [1, 50, 50, 50, 50, 50], most: 1 });
    time = 1_000;
    sizes = [];
    await finish(read('p', USERS, PLAIN_READ));
    expect({ sizes, most }).toEqual({ sizes: [100, 100, 50], most: 3 });
  });

  it.each([
    { activeMs: 7, restMs: 7 },
    { activeMs: 5_000, restMs: 20 },
  ])('has a rest of $restMs ms after a part during which the event loop was active for $activeMs ms', async (one) => {
    let [active, parts] = [0, 0];
    const read = inParts(
      async (_, userIds) => {
        parts++;
        active += one.activeMs;
        return userIds.map(resultOf);
      },
      { now: () => 0, active: () => active },
    );
    await finish(read('p', ['1'], PLAIN_READ));
    parts = 0;
    const reading = read('p', USERS, PLAIN_READ);
    await vi.advanceTimersByTimeAsync(one.restMs - 1);
    expect(parts).toBe(1);
    await vi.advanceTimersByTimeAsync(2);
    expect(parts).toBe(2);
    await finish(reading);
    expect(parts).toBe(5);
  });
});

it('resolves with its last part, while parts of another read wait', async () => {
  const ends: (() => void)[] = [];
  const read = inParts(async (_, userIds) => {
    await new Promise<void>((resolve) => ends.push(resolve));
    return userIds.map(resultOf);
  });
  const first = read('p', USERS.slice(0, 150), PLAIN_READ);
  const second = read('p', USERS, PLAIN_READ);
  await vi.waitFor(() => expect(ends.length).toBeGreaterThanOrEqual(3));
  // The first read has two parts, which began first.
  ends[0]?.();
  ends[1]?.();
  expect(await first).toHaveLength(150);
  let hasEnded = false;
  const rest = second.finally(() => {
    hasEnded = true;
  });
  await turns(2);
  expect(hasEnded).toBe(false);
  while (!hasEnded) {
    for (const end of ends) end();
    await turns(1);
  }
  expect(await rest).toHaveLength(USERS.length);
});

it('asks once for a user who occurs several times, also in different parts', async () => {
  const { asked, read } = createRead();
  const userIds = [...USERS, '0', '249', '0'];
  expect(await read(userIds)).toEqual(userIds.map((userId) => String(resultOf(userId))));
  expect(asked.flat().toSorted()).toEqual(USERS.toSorted());
});

it('leaves a read of few users whole', async () => {
  const { asked, read } = createRead();
  await read(['1', '1', '2']);
  expect(asked).toEqual([['1', '1', '2']]);
});

it('fails if a part fails, and reads no further parts', async () => {
  const { asked, read } = createRead();
  const many = Array.from({ length: 5_000 }, (_, i) => String(i));
  await expect(read(['failing', ...many])).rejects.toMatchObject({ code: 'unknown_predictor' });
  await turns(100);
  expect(asked.length).toBeLessThan(10);
});
