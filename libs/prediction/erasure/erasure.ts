/**
 * Erasure: a user removed from every store, who cannot come back through a late event, a running batch or an answer under
 * way. The tombstone decides: the context's version, raised and named as deleted, in one short transaction. Nothing
 * labelled up to it is served again. The deletes come behind it, in Postgres and then in Redis, and are repeated for an
 * hour, because what was under way may arrive after the first of them.
 */

import type { ErasureCount, ToldOfErasures } from '@tandem/freshness/certificate';

/** An erasure as it was committed. */
export interface Tombstone {
  readonly userId: string;
  readonly history: string;
  /** Counts erasures in the order of their commits. */
  readonly number: number;
  /** Both the user's version and the deleted one. */
  readonly version: number;
  /** On the database's clock. */
  readonly erasedAt: Date;
}

/** What was deleted of users, in Postgres. */
interface DeletedRows {
  readonly contextValues: number;
  readonly events: number;
  /** Of published generations. */
  readonly predictions: number;
  /** Live answers, and those of partial runs. */
  readonly overlayEntries: number;
  /** Their names in runs' reports of who could not be scored. */
  readonly runFailures: number;
  /** What they did, as the application told it; the ids stay. */
  readonly outcomes: number;
  /** First answers from arms of rollouts. */
  readonly exposures: number;
  /** Answers that were kept with their features. */
  readonly keptExplanations: number;
  /** Counts of how often they were read. */
  readonly readCounts: number;
}

/** What was deleted of users, in Redis. */
export interface DeletedKeys {
  readonly predictions: number;
  readonly overlayEntries: number;
}

/** Where Redis may hold something of a user. */
export interface OnlineLocations {
  readonly predictors: readonly string[];
  readonly generations: readonly { readonly id: string; readonly buckets: number }[];
}

export interface ErasureReceipt {
  readonly tombstone: Tombstone;
  readonly postgres: DeletedRows;
  readonly redis: DeletedKeys;
}

export interface Readmission {
  readonly userId: string;
  readonly history: string;
  readonly version: number;
  /** False: the user was not erased, and nothing was changed. */
  readonly wasErased: boolean;
}

/** An erasure whose deletes are to be repeated now. */
export interface DueSweep {
  readonly number: number;
  readonly userId: string;
  /** How often they were. */
  readonly sweeps: number;
  readonly isReadmitted: boolean;
}

/** Port: erasures in the database. Rejects `unavailable` where it does not answer. */
export interface ErasureStore {
  /** Sets the tombstone, or finds it where the user is erased already; what was cleared of the context with it. */
  setTombstone(userId: string): Promise<{ readonly tombstone: Tombstone; readonly contextValues: number }>;
  readmit(userId: string): Promise<Readmission>;
  /** Deletes what lies below tombstones, by their numbers; safe to repeat. */
  deleteRows(numbers: readonly number[]): Promise<Omit<DeletedRows, 'contextValues'>>;
  locations(): Promise<OnlineLocations>;
  count(): Promise<ErasureCount>;
  due(limit: number): Promise<readonly DueSweep[]>;
  /** Schedules one more sweep, in a few seconds, for each erasure above that number whose sweeps have ended. */
  sweepAgain(above: number): Promise<void>;
  /** They were repeated; sets when again, unless another has done so. */
  swept(sweeps: readonly DueSweep[]): Promise<void>;
}

/** Port: erasures in the online store. Rejects `unavailable` where it does not answer or refuses. */
export interface OnlineErasures {
  /** From then on it refuses overlay entries from before, and has no count from before the erasure. */
  tell(tombstone: Tombstone): Promise<void>;
  /** Deletes all that it holds of the users; safe to repeat. */
  forget(userIds: readonly string[], locations: OnlineLocations): Promise<DeletedKeys>;
  /** Null where it was told nothing, or has lost that. */
  told(): Promise<ToldOfErasures | null>;
  /**
   * Sets a count that it lost.
   * @param count asked for once it is known that it will be noticed if something is lost, or an erasure told, from then
   * on; false: that was so
   */
  restore(count: () => Promise<ErasureCount>): Promise<boolean>;
}
