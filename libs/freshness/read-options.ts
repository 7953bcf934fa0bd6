/** The demands of a caller on an answer, in HTTP's own terms. */
import type { ModelVersion } from './predictor.ts';

/** A context, as the acknowledgement of an event names it. */
export interface ContextToken {
  readonly history: string;
  readonly version: number;
}

/** The caller's limit of inferred users. */
export interface LiveQuota {
  /** The most inferences that the limit allows at once. */
  readonly most: number;
  /** Takes up to `wanted` inferences, and returns how many were available. */
  take(wanted: number): number;
  /** Gives back inferences that were taken but not used. */
  giveBack(unused: number): void;
}

/** The request features of one prediction, as the call sent them. */
export type RequestFeatures = Readonly<Record<string, number | string | boolean>>;

/** The request features of a read. */
export interface RequestRead {
  /** One row for each user of the read, in order. A user may occur several times. */
  readonly rows: readonly RequestFeatures[];
  /** Returns the path of a row in the call, for the `field` of a problem: `users[3]`. */
  at(row: number): string;
  /** Throws `invalid_input` if a model version cannot answer the call for any user. */
  checkVersion?(version: ModelVersion): void;
  /** Whether only the inference may answer, so that stored predictions and defaults are never served. */
  readonly isLiveOnly?: boolean;
}

/** How long a caller waits for its answer, if its transport reports it. */
export interface CallerPatience {
  /** Returns the milliseconds until the caller's deadline; Infinity without one. */
  leftMs(): number;
  /** Calls back when the caller disconnects; at once if it has disconnected already. */
  onGone(tell: () => void): void;
}

/** The demands of a caller on an answer, in HTTP's terms. Ages in seconds. */
export interface ReadOptions {
  readonly noCache: boolean;
  readonly onlyIfCached: boolean;
  readonly maxAge: number | null;
  /** null: not sent; Infinity: any staleness. */
  readonly maxStale: number | null;
  readonly minContext: ContextToken | null;
  /** The caller's limit of live inferences; absent: no limit. */
  readonly liveQuota?: LiveQuota;
  /** How long the caller waits; absent: only the predictor's `liveTimeout` limits live inference. */
  readonly patience?: CallerPatience;
  /** The request features that the call sends. Such a read is inferred, like one with `noCache`. */
  readonly request?: RequestRead;
  /** Whether the read is a part of a large one, whose users would displace those that are read often from memory. */
  readonly isPart?: boolean;
}

export const PLAIN_READ: ReadOptions = Object.freeze({
  noCache: false,
  onlyIfCached: false,
  maxAge: null,
  maxStale: null,
  minContext: null,
});

/**
 * The durations of a read's parts in ms; absent if the read did not wait for the part. It is a type alias so that it
 * fits the fields of a log line.
 */
export type ReadTimes = {
  /** The time for which the read waited for Postgres to certify it, even if Postgres did not. */
  certifyMs?: number;
  /** The time for live inference of the read's users, features included. */
  liveMs?: number;
};

/** Returns the milliseconds since a time of `performance.now()`, to the microsecond. */
export function since(moment: number): number {
  return Math.round((performance.now() - moment) * 1000) / 1000;
}
