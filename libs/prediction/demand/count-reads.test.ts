import type { ReadResult, Source } from '@tandem/freshness/answer';
import type { ErrorCode } from '@tandem/freshness/error-codes';
import { TandemError } from '@tandem/freshness/errors';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createReadCounts, type ReadCount } from './count-reads.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const answer = (contextVersion: number | null = 0, source: Source = 'batch') =>
  ({ contextVersion, source }) as ReadResult;
const failure = (code: ErrorCode) => new TandemError(code, 'no answer');

/** Returns evenly spread numbers, the same in each test. */
function evenDraws(): () => number {
  let drawn = 0;
  return () => (drawn++ * 0.618034) % 1;
}

function counting(options: { most?: number; put?: (counts: readonly ReadCount[]) => Promise<void> } = {}) {
  const flushes: (readonly ReadCount[])[] = [];
  const put = async (counts: readonly ReadCount[]) => void flushes.push(counts);
  const { put: said = put, ...others } = options;
  const counts = createReadCounts({ store: { put: said }, random: evenDraws(), flushMs: 1_000, ...others });
  return { counts, flushes, flush: () => vi.advanceTimersByTimeAsync(1_000) };
}

describe('counts of reads', () => {
  it('are written once per user, with the label of the first answer', async () => {
    const { counts, flushes, flush } = counting();
    counts.note('1', answer(4));
    counts.note('2', answer(null));
    counts.note('1', answer(5));
    await flush();
    expect(flushes).toEqual([
      [
        { userId: '1', reads: 2, contextVersion: 4 },
        { userId: '2', reads: 1, contextVersion: 0 },
      ],
    ]);
    counts.note('2', answer());
    await flush();
    expect(flushes[1]).toEqual([{ userId: '2', reads: 1, contextVersion: 0 }]);
  });

  it('exist only for users with a prediction in the answer: other ids may not be users', async () => {
    const { counts, flushes, flush } = counting();
    for (const code of ['unknown_user', 'no_prediction', 'not_cached', 'unavailable', 'overloaded'] as const) {
      counts.note(code, failure(code));
    }
    counts.note('default', answer(null, 'default'));
    for (const source of ['batch', 'live', 'stale'] as const) counts.note(source, answer(0, source));
    await flush();
    expect(flushes.flat().map(({ userId }) => userId)).toEqual(['batch', 'live', 'stale']);
  });

  it('become a sample of the reads if more users read than a flush may write, and keep their expected sum', async () => {
    const { counts, flushes, flush } = counting({ most: 100 });
    for (let second = 0; second < 20; second++) {
      for (let i = 0; i < 300; i++) counts.note(String(i), answer());
      await flush();
    }
    expect(flushes[0]).toHaveLength(300);
    const settled = flushes.slice(10).map((flushed) => flushed.length);
    expect(Math.max(...settled)).toBeLessThan(130);
    expect(Math.min(...settled)).toBeGreaterThan(70);
    const reads = flushes.flat().reduce((sum, one) => sum + one.reads, 0);
    expect(Math.abs(reads / 6_000 - 1)).toBeLessThan(0.05);
    // A quiet period raises the share to 1 again.
    for (let second = 0; second < 20; second++) {
      counts.note('1', answer());
      counts.note('1', answer());
      await flush();
    }
    expect(flushes.at(-1)).toEqual([{ userId: '1', reads: 2, contextVersion: 0 }]);
  });

  it('that find no room, or whose write fails, are lost and reported; reads continue', async () => {
    const { counts } = counting({ most: 10 });
    for (let i = 0; i < 50; i++) counts.note(String(i), answer());
    expect(counts.dropped()).toBe(10);
    const away = counting({ put: () => Promise.reject(new Error('away')) });
    away.counts.note('1', answer());
    await away.flush();
    expect(away.counts.dropped()).toBe(1);
  });

  it('that wait are written when the counter closes', async () => {
    const { counts, flushes } = counting();
    counts.note('1', answer());
    await counts.close();
    expect(flushes).toHaveLength(1);
  });
});
