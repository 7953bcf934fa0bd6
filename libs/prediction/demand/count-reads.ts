/**
 * How often users are read, counted by each process that answers reads, in memory, and written a few seconds later.
 * Declared lossy: a process that is killed loses its last seconds, and nothing but an order of work hangs on them.
 *
 * A process writes a bounded number of users at a time. Where more are read, it counts a share of the reads, drawn at random,
 * and each for as many as it stands for. So a user's expected count stays the number of reads.
 */
import type { Answer } from '@tandem/freshness/answer';
import { TandemError } from '@tandem/freshness/errors';
import { WriteBehind } from '@tandem/timing/write-behind';

/** Reads of a user since the last write. */
export interface ReadCount {
  readonly userId: string;
  /** An estimate where the process counted a share of the reads. */
  readonly reads: number;
  /** The label of the first answer; 0 if it had none. An erasure uses it. */
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
  /** Users that a flush should write at most. */
  readonly most?: number;
}

export interface ReadCounts {
  /** Counts a read that a prediction of the user answers. An error or a default may be of an id that no user has. */
  note(userId: string, result: Pick<Answer, 'source' | 'contextVersion'> | TandemError): void;
  /** Users whose counts were lost since the start, because more were read than expected or a write failed. */
  dropped(): number;
  /** Writes what waits, then counts nothing more. */
  close(): Promise<void>;
}

const FLUSH_MS = 5_000;
/** 500 rows a second, which cost Postgres 6 ms of CPU where a million users are counted. */
const MOST = 2_500;
/** Until a flush has shown how many users are read, there is room for as many times more. */
const ROOM = 4;
/** Less would count next to nothing. */
const LEAST_SHARE = 1 / 10_000;

export function createReadCounts({ store, random, flushMs = FLUSH_MS, most = MOST }: ReadCountsOptions): ReadCounts {
  let share = 1;
  const waiting = new WriteBehind<{ -readonly [Key in keyof ReadCount]: ReadCount[Key] }>({
    maxWaiting: ROOM * most,
    batch: ROOM * most,
    flushMs,
    onFailure: 'drop',
    async before() {
      // Half the reads are of at least half the users, so the share settles where a flush has `most` of them.
      share = Math.min(1, Math.max(LEAST_SHARE, (share * most) / Math.max(1, waiting.size)));
    },
    write: (counts) => store.put(counts),
  });
  return {
    note(userId, result) {
      if (result instanceof TandemError || result.source === 'default') return;
      if (share < 1 && random() >= share) return;
      const known = waiting.find(userId);
      if (known) {
        known.reads += 1 / share;
        return;
      }
      waiting.add({ userId, reads: 1 / share, contextVersion: result.contextVersion ?? 0 }, userId);
    },
    dropped: () => waiting.dropped,
    close: () => waiting.close(),
  };
}
