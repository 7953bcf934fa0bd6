/** What a caller demands of an answer, in HTTP's own terms. */
import type { ModelVersion } from './predictor.ts';

/** A context that an event's acknowledgement named. */
export interface ContextToken {
  readonly history: string;
  readonly version: number;
}

/** How many users the caller may have inferred. */
export interface LiveQuota {
  /** The most inferences that it ever allows at once. */
  readonly most: number;
  /** Takes up to so many; gives how many there were. */
  take(wanted: number): number;
  /** Returns inferences that were taken and are not used. */
  giveBack(unused: number): void;
}

/** The request features of one prediction, as the call sends them. */
export type RequestFeatures = Readonly<Record<string, number | string | boolean>>;

/** The request features of a read. */
export interface RequestRead {
  /** One for each user of the read, in order. A user may come several times. */
  readonly rows: readonly RequestFeatures[];
  /** The place of a row in the call, for the field of a problem: `users[3]`. */
  at(row: number): string;
  /** Throws `invalid_input` if a model version cannot answer the call, whatever its rows hold. */
  checkVersion?(version: ModelVersion): void;
  /** Whether only the inference may answer: a stored prediction or a default cannot stand in. */
  readonly isLiveOnly?: boolean;
}

/** How long a caller waits for its answer, where its transport says so. */
export interface CallerPatience {
  /** Returns the milliseconds until the caller's own deadline; Infinity: it has none. */
  leftMs(): number;
  /** Calls back once the caller has gone; at once if it has gone already. */
  onGone(tell: () => void): void;
}

/** What the caller demands of an answer, in HTTP's terms. Ages in seconds. */
export interface ReadOptions {
  readonly noCache: boolean;
  readonly onlyIfCached: boolean;
  readonly maxAge: number | null;
  /** null: not given; Infinity: any staleness. */
  readonly maxStale: number | null;
  readonly minContext: ContextToken | null;
  /** Left out: no limit of the caller's own. */
  readonly liveQuota?: LiveQuota;
  /** Left out: the predictor's `liveTimeout` alone limits the read. */
  readonly patience?: CallerPatience;
  /** The request features that the call sends. Such a read is inferred, like one with `noCache`. */
  readonly request?: RequestRead;
}

export const PLAIN_READ: ReadOptions = Object.freeze({
  noCache: false,
  onlyIfCached: false,
  maxAge: null,
  maxStale: null,
  minContext: null,
});

/** Where the time of a read goes, in ms; absent: not waited for. A type alias, so that it passes for fields of a log line. */
export type ReadTimes = {
  /** For Postgres to certify the read, also where it did not. */
  certifyMs?: number;
  /** For live inference of its users, features included. */
  liveMs?: number;
};

/** Milliseconds since a moment of `performance.now()`, to the microsecond. */
export function since(moment: number): number {
  return Math.round((performance.now() - moment) * 1000) / 1000;
}
