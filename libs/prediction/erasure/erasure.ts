/**
 * Erasure: removes a user from every store, so that no late event, running batch or live answer brings the user back.
 * The tombstone decides: one short transaction raises the context's version and marks it as deleted. Predictions
 * labelled up to it are not served again. The deletes follow, in Postgres and then in Redis. They are repeated for an
 * hour, because concurrent work may write after the first delete.
 */

import type { HistoryCount } from '@tandem/freshness/certificate';
import type { OnlineCount } from '../online-count.ts';

/** A committed erasure. */
export interface Tombstone {
  readonly userId: string;
  readonly history: string;
  /** The number of the erasure, in the order of commits. */
  readonly number: number;
  /** The user's context version, which is also the deleted version. */
  readonly version: number;
  /** The time of the erasure on the database's clock. */
  readonly erasedAt: Date;
}

/** The counts of records deleted in Postgres. */
interface DeletedRows {
  readonly contextValues: number;
  readonly events: number;
  /** Predictions in published generations. */
  readonly predictions: number;
  /** Live answers and predictions of partial runs. */
  readonly overlayEntries: number;
  /** The user's entries in the reports of runs that could not score the user. */
  readonly runFailures: number;
  /** Outcomes sent by the application; their ids stay. */
  readonly outcomes: number;
  /** Exposures: first answers from arms of rollouts. */
  readonly exposures: number;
  /** Kept answers with their features. */
  readonly keptExplanations: number;
  /** Counts of the user's reads. */
  readonly readCounts: number;
}

/** The counts of records deleted in Redis. */
type DeletedKeys = Pick<DeletedRows, 'predictions' | 'overlayEntries'>;

/** The predictors and generations under which Redis may hold records of a user. */
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
  /** False if the user was not erased, so that nothing changed. */
  readonly wasErased: boolean;
}

/** An erasure whose deletes are due again. */
export interface DueSweep {
  readonly number: number;
  readonly userId: string;
  /** The number of times that the deletes were repeated. */
  readonly sweeps: number;
  readonly isReadmitted: boolean;
}

/** Port: erasures in the database. Rejects with `unavailable` if it does not answer. */
export interface ErasureStore {
  /** Sets the tombstone, or returns the existing one; also returns the counts of cleared context. */
  setTombstone(userId: string): Promise<{ readonly tombstone: Tombstone; readonly contextValues: number }>;
  readmit(userId: string): Promise<Readmission>;
  /** Deletes the records that the tombstones of these numbers cover. Safe to repeat. */
  deleteRows(numbers: readonly number[]): Promise<Omit<DeletedRows, 'contextValues'>>;
  locations(): Promise<OnlineLocations>;
  count(): Promise<HistoryCount>;
  due(limit: number): Promise<readonly DueSweep[]>;
  /** Schedules one more sweep, in a few seconds, for each erasure above that number whose sweeps have ended. */
  sweepAgain(above: number): Promise<void>;
  /** Records a finished sweep and schedules the next, unless another worker has done so. */
  swept(sweeps: readonly DueSweep[]): Promise<void>;
}

/** Port: erasures in the online store. Rejects with `unavailable` if it does not answer, or rejects the command. */
export interface OnlineErasures extends Pick<OnlineCount, 'told' | 'restore'> {
  /**
   * Reports an erasure. From then on the store rejects the user's earlier overlay entries, and it has no count from
   * before the erasure: its count includes the erasure, or it has none.
   */
  tell(tombstone: Tombstone): Promise<void>;
  /** Deletes all records of the users; safe to repeat. */
  forget(userIds: readonly string[], locations: OnlineLocations): Promise<DeletedKeys>;
}
