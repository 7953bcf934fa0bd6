/**
 * The tombstones that a process has heard of, in memory: what keeps an erased user out of an answer while Postgres, which
 * alone knows all of them, does not answer. They are counted, so that it is known whether one is missing.
 *
 * Some 70 bytes each. Beyond the bound no more are taken: the count then stays behind, and nothing is served unverified.
 */

/** How many erasures there were, in one history. */
export interface ErasureCount {
  readonly history: string;
  readonly count: number;
}

/** What the online store was told of erasures, and which server it is. */
export interface ToldOfErasures extends ErasureCount {
  readonly serverId: string;
}

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
  /** Itself, or one of another history, in which nothing was heard of. */
  inHistory(history: string): TombstoneMemory;
}

interface TombstoneRoom {
  /** Users. */
  readonly most?: number;
  /** Told once, with the count: of any later erasure nothing will be known. */
  readonly onFull?: ((count: number) => void) | undefined;
}

const MAX_TOMBSTONES = 500_000;

export function createTombstoneMemory(history: string, room: TombstoneRoom = {}): TombstoneMemory {
  const { most = MAX_TOMBSTONES, onFull } = room;
  const versions = new Map<string, number>();
  let count = 0;
  const memory: TombstoneMemory = {
    history,
    get count() {
      return count;
    },
    get isFull() {
      return versions.size >= most;
    },
    deletedVersion: (userId) => versions.get(userId) ?? 0,
    learn(found, upTo) {
      const wasFull = memory.isFull;
      for (const [, userId, deletedVersion] of found) {
        if (deletedVersion > (versions.get(userId) ?? 0)) versions.set(userId, deletedVersion);
      }
      count = Math.max(count, upTo);
      if (memory.isFull && !wasFull) onFull?.(count);
    },
    inHistory: (other) => (other === history ? memory : createTombstoneMemory(other, room)),
  };
  return memory;
}
