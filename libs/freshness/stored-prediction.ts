/** A prediction at rest, with the label that says what it was computed from, and the ports it is found and kept through. */

import type { Assignment, ToldOfErasures } from './certificate.ts';

/** What a stored prediction is judged by. */
export interface Label {
  /** `generation`: from a run of scope `all`; `overlay`: a live answer, or an entry of a partial run. */
  readonly layer: 'generation' | 'overlay';
  readonly source: 'batch' | 'live';
  /** The label: the user's context version read together with the features it was computed from. */
  readonly contextVersion: number;
  readonly modelVersionId: string;
  readonly generationId: string | null;
  /** Of an overlay entry: the history and floor under which its label counts. */
  readonly history: string | null;
  readonly overlayFloor: number | null;
  /** Postgres' clock when its features were read, ms since 1970. */
  readonly computedAt: number;
  /** Of a live answer: whether a re-scoring made it, before a read asked. No decision looks at it. */
  readonly refreshed?: boolean;
}

export interface StoredPrediction extends Label {
  /** In the layout of outputs.ts. */
  readonly outputs: Buffer;
}

/** Up to one candidate a layer for each user; generation first. */
export type Candidates = ReadonlyMap<string, readonly StoredPrediction[]>;

/** Port: finds candidates in one round trip, however many users. Candidates prove nothing by themselves. */
export interface StoredPredictions {
  find(assignment: Assignment, userIds: readonly string[]): Promise<Candidates>;
}

/** Port: the online store's part in a read. */
export interface OnlinePredictions extends StoredPredictions {
  /** Identifies the server process now connected; null while none is. Changes when it restarts or fails over. */
  serverId(): string | null;
  /** What that server was told of erasures, null where it was told nothing, or has lost that. */
  readonly toldOfErasures: () => Promise<ToldOfErasures | null>;
}

/** An overlay entry to keep, for a user of a predictor. */
export interface OverlayEntry {
  readonly predictor: string;
  readonly userId: string;
  readonly modelVersionId: string;
  readonly history: string;
  readonly overlayFloor: number;
  readonly contextVersion: number;
  readonly source: 'batch' | 'live';
  readonly computedAt: number;
  /** Whether a re-scoring made it. */
  readonly refreshed?: boolean;
  readonly outputs: Buffer;
}

/** Port: keeps overlay entries, each by compare-and-set so that none goes back within a history and floor. */
export interface OverlayStore {
  put(entries: readonly OverlayEntry[]): Promise<void>;
}

/** What became of an entry: kept; `older` than the stored one; `outdated` by what is known of the user's version. */
export type PutResult = 'kept' | 'older' | 'outdated';

/** Port: the online store's overlay, which tells what became of each entry, in order. */
export interface OnlineOverlayStore extends OverlayStore {
  putEach(entries: readonly OverlayEntry[]): Promise<readonly PutResult[]>;
}
