/**
 * The tombstones that a process has heard of, in memory: what keeps an erased user out of an answer while Postgres, which
 * alone knows all of them, does not answer. They are counted, so that it is known whether one is missing.
 *
 * Some 70 bytes each. Beyond the bound no more are taken: the count then stays behind, and nothing is served unverified.
 */

/** What a process has heard of erasures: every one up to a count, in one history. */
export interface Tombstones {
  readonly history: string;
  readonly count: number;
  /** The version up to which nothing of a user may be served; 0: no erasure was heard of. */
  deletedVersion(userId: string): number;
}

/** An erasure by its number. */
export type NumberedTombstone = readonly [number: number, userId: string, deletedVersion: number];

export interface TombstoneMemory extends Tombstones {
  readonly isFull: boolean;
  /** @param found all erasures there are from those known up to `count`, whoever has told of some of them meanwhile */
  learn(found: readonly NumberedTombstone[], count: number): void;
}

const MAX_TOMBSTONES = 500_000;

export function createTombstoneMemory(history: string, most: number = MAX_TOMBSTONES): TombstoneMemory {
  const versions = new Map<string, number>();
  let count = 0;
  return {
    history,
    get count() {
      return count;
    },
    get isFull() {
      return versions.size >= most;
    },
    deletedVersion: (userId) => versions.get(userId) ?? 0,
    learn(found, upTo) {
      for (const [, userId, deletedVersion] of found) {
        if (deletedVersion > (versions.get(userId) ?? 0)) versions.set(userId, deletedVersion);
      }
      count = Math.max(count, upTo);
    },
  };
}
