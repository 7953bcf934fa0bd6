/** A stored prediction with the label of the context it was computed from, and the ports that find and keep it. */

import type { Assignment, ToldCount } from './certificate.ts';

/** The facts by which a stored prediction is judged. */
export interface Label {
  /** `generation`: from a run of scope `all`; `overlay`: a live answer, or an entry of a partial run. */
  readonly layer: 'generation' | 'overlay';
  readonly source: 'batch' | 'live';
  /** The label: the user's context version read together with the features it was computed from. */
  readonly contextVersion: number;
  readonly modelVersionId: string;
  readonly generationId: string | null;
  /** For an overlay entry: the history and floor under which its label counts. */
  readonly history: string | null;
  readonly overlayFloor: number | null;
  /** Postgres' clock when its features were read, ms since 1970. */
  readonly computedAt: number;
  /** For a live answer: whether a re-scoring computed it before any read asked for it. No decision depends on it. */
  readonly refreshed?: boolean;
}

export interface StoredPrediction extends Label {
  /** Encoded in the layout of outputs.ts. */
  readonly outputs: Buffer;
}

/** The candidates by user: at most one of each layer. */
export type Candidates = ReadonlyMap<string, readonly StoredPrediction[]>;

/** Port: finds candidates in one round trip, for any number of users. Candidates alone prove nothing. */
export interface StoredPredictions {
  find(assignment: Assignment, userIds: readonly string[]): Promise<Candidates>;
}

/** Port: the online store's part in a read. */
export interface OnlinePredictions extends StoredPredictions {
  /** Identifies the connected server process; null while there is none. Changes when it restarts or fails over. */
  serverId(): string | null;
  /** The count of erasures on that server; null if it has none or lost it. */
  readonly toldOfErasures: () => Promise<ToldCount | null>;
  /** The count of withdrawals on that server; null if it has none or lost it. */
  readonly toldOfWithdrawals: () => Promise<ToldCount | null>;
}

/** An overlay entry of a user, to be kept. */
export interface OverlayEntry {
  readonly predictor: string;
  readonly userId: string;
  readonly modelVersionId: string;
  readonly history: string;
  readonly overlayFloor: number;
  readonly contextVersion: number;
  readonly source: 'batch' | 'live';
  readonly computedAt: number;
  /** Whether a re-scoring computed the entry. */
  readonly refreshed?: boolean;
  /** Whether it may replace a fresh prediction of the same context, so that certificates name it. */
  readonly demanded?: boolean;
  readonly outputs: Buffer;
}

/**
 * Port: keeps overlay entries by compare-and-set. Within a history and floor, an older entry never replaces a newer
 * one.
 */
export interface OverlayStore {
  put(entries: readonly OverlayEntry[]): Promise<void>;
}

/**
 * The result of a write: the entry was kept, is `older` than the stored entry, or is `outdated` by the user's known
 * version.
 */
export type PutResult = 'kept' | 'older' | 'outdated';

/** Port: the online store's overlay. It returns the result of each entry, in order. */
export interface OnlineOverlayStore extends OverlayStore {
  putEach(entries: readonly OverlayEntry[]): Promise<readonly PutResult[]>;
}
