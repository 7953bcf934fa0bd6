import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type GatheringOptions, gatherLoads } from './load-chunk.ts';
import { generationOf } from './run.fixture.ts';
import { scoredUsers } from './scored-users.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const user = (userId: string) => ({ userId, contextVersion: 0, outputs: Buffer.of(1) });
const pageOf = (userIds: readonly string[]) => ({ users: scoredUsers(userIds.map(user)), computedAt: 1 });

/** Gathers loads of a generation with four buckets, so that four rows are enough. */
function gathering(options: GatheringOptions = { rowsPerBucket: 1, waitMs: 100 }) {
  const loaded: string[] = [];
  const loads = gatherLoads(
    {
      async loadScored({ id }, pages) {
        const userIds = pages.flatMap(({ users }) => users.userIds);
        if (userIds.includes('bad')) throw new Error('Redis is away');
        loaded.push(`${id}: ${userIds.join(' ')}`);
        return { loaded: userIds.length, skipped: 0 };
      },
    },
    options,
  );
  const add = (id: string, userIds: readonly string[], isLast = false) =>
    loads.loadScored(generationOf(id), [pageOf(userIds)], isLast);
  return { add, loaded };
}

describe('loads of one generation', () => {
  it('are sent together when there are enough rows, and all their promises then resolve', async () => {
    const { add, loaded } = gathering();
    const first = add('g1', ['1', '2']);
    expect(loaded).toEqual([]);
    await Promise.all([first, add('g1', ['3', '4'])]);
    expect(loaded).toEqual(['g1: 1 2 3 4']);
  });

  it('are sent at mostRows, however many buckets there are', async () => {
    const { add, loaded } = gathering({ rowsPerBucket: 1, mostRows: 3, waitMs: 100 });
    await Promise.all([add('g1', ['1', '2']), add('g1', ['3'])]);
    expect(loaded).toEqual(['g1: 1 2 3']);
  });

  it('are sent after ten waits even if more rows come, and at mostBytes', async () => {
    const { add, loaded } = gathering({ rowsPerBucket: 100, waitMs: 100 });
    const added: Promise<unknown>[] = [];
    for (let i = 1; i <= 12; i++) {
      added.push(add('g1', [`${i}`]));
      await vi.advanceTimersByTimeAsync(99);
    }
    expect(loaded).toEqual(['g1: 1 2 3 4 5 6 7 8 9 10 11']);
    await vi.advanceTimersByTimeAsync(100);
    await Promise.all(added);
    const small = gathering({ rowsPerBucket: 100, mostBytes: 2, waitMs: 100 });
    await Promise.all([small.add('g1', ['1']), small.add('g1', ['2'])]);
    expect(small.loaded).toEqual(['g1: 1 2']);
  });

  it('wait while others come, but not for loads of another generation', async () => {
    const { add, loaded } = gathering();
    const all = [add('g1', ['1']), add('g2', ['2', '3'])];
    await vi.advanceTimersByTimeAsync(99);
    all.push(add('g1', ['4']));
    await vi.advanceTimersByTimeAsync(99);
    expect(loaded).toEqual(['g2: 2 3']);
    await vi.advanceTimersByTimeAsync(1);
    expect(loaded).toEqual(['g2: 2 3', 'g1: 1 4']);
    await Promise.all(all);
  });

  it('are sent with the last load immediately, and so are later loads', async () => {
    const { add, loaded } = gathering();
    await Promise.all([add('g1', ['1']), add('g1', ['2'], true)]);
    await add('g1', ['3']);
    expect(loaded).toEqual(['g1: 1 2', 'g1: 3']);
  });

  it('fail together; later loads do not', async () => {
    const { add, loaded } = gathering();
    const failed = await Promise.allSettled([add('g1', ['1']), add('g1', ['bad', '2', '3'])]);
    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await add('g1', ['4', '5', '6', '7']);
    expect(loaded).toEqual(['g1: 4 5 6 7']);
  });
});
