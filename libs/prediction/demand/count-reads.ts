/**
 * Counts how often users are read. Each process that answers reads counts in memory and writes a few seconds later. The
 * counts are declared lossy: a killed process loses its last seconds. Only the order of work depends on them.
 *
 * A process writes a limited number of users at a time. If more users are read, it counts a random share of the reads,
 * and weighs each by the inverse of that share. So the expected count of a user is the number of reads.
 */
import type { Answer } from '@tandem/freshness/answer';
import { TandemError } from '@tandem/freshness/errors';
import { WriteBehind } from '@tandem/timing/write-behind';

/** The reads of a user since the last write. */
export interface ReadCount {
  readonly userId: string;
  /** The number of reads; an estimate if the process counted only a share of them. */
  readonly reads: number;
  /** The label of the first answer; 0 if the answer had none. Erasures compare it with the tombstone. */
  readonly contextVersion: number;
}

/** Port: adds counts to the stored ones. Leaves out counts whose label is older than an erasure or a restore. */
export interface ReadCountStore {
  put(counts: readonly ReadCount[]): Promise<void>;
}

interface ReadCountsOptions {
  readonly store: ReadCountStore;
  /** Returns a number from 0 to 1. */
  readonly random: () => number;
  readonly flushMs?: number;
  /** The maximum number of users in a flush. */
  readonly most?: number;
}

const FLUSH_MS = 5_000;
/** The default of `most`, 500 rows a second. They cost Postgres 6 ms of CPU if a million users are counted. */
const MOST = 2_500;
/** Before the first flush has measured the number of read users, there is room for this many times `most`. */
const ROOM = 4;
/** The lowest share of reads to count. */
const LEAST_SHARE = 1 / 10_000;

/** Creates a counter that writes to the store every `flushMs` milliseconds. */
export function createReadCounts({ store, random, flushMs = FLUSH_MS, most = MOST }: ReadCountsOptions) {
  let share = 1;
  const waiting = new WriteBehind<{ -readonly [Key in keyof ReadCount]: ReadCount[Key] }>({
    maxWaiting: ROOM * most,
    batch: ROOM * most,
    flushMs,
    onFailure: 'drop',
    async before() {
      // Halving the share removes at most half of the users, so the share settles at about `most` users in a flush.
      share = Math.min(1, Math.max(LEAST_SHARE, (share * most) / Math.max(1, waiting.size)));
    },
    write: (counts) => store.put(counts),
  });
  return {
    /**
     * Counts a read that a prediction of the user answers. Errors and defaults are not counted: their ids may not be
     * users.
     */
    note(userId: string, result: Pick<Answer, 'source' | 'contextVersion'> | TandemError): void {
      if (result instanceof TandemError || result.source === 'default') return;
      if (share < 1 && random() >= share) return;
      const known = waiting.find(userId);
      if (known) {
        known.reads += 1 / share;
        return;
      }
      waiting.add({ userId, reads: 1 / share, contextVersion: result.contextVersion ?? 0 }, userId);
    },
    /**
     * Returns the number of users whose counts were lost since the start, because more users were read than expected or
     * a write failed.
     */
    dropped: (): number => waiting.dropped,
    /** Writes the waiting counts, then counts nothing more. */
    close: (): Promise<void> => waiting.close(),
  };
}
