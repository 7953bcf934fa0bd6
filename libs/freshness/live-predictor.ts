/**
 * The port for live inference: the request that the reader makes, the result for each user, and the reasons of
 * failures.
 */

import type { Assignment, Certificate } from './certificate.ts';
import { callerGone } from './errors.ts';
import type { FeatureBatch } from './features.ts';
import type { ModelVersion } from './predictor.ts';
import type { CallerPatience, LiveQuota, ReadOptions } from './read-options.ts';
import type { RequestRow } from './request-features.ts';

/**
 * Why a user's live inference failed; each is also a reason of an answer.
 * - `features_failed`: the feature query fails for this user alone.
 * - `live_timeout`: the time limit passed; `CALLER_GONE` if the limit was the caller's.
 * - `live_failed`: the model crashed or refused the input, or the feature query failed for every user.
 * - `overloaded`: the read was rejected before any work, since its answer would have been too late.
 * - `features_unusable`: the model cannot take the user's features until they change.
 * - `output_unusable`: the model gives NaN or another unusable value until features or model change.
 */
export type LiveFailureReason =
  | 'features_failed'
  | 'live_failed'
  | 'features_unusable'
  | 'output_unusable'
  | 'live_timeout'
  | 'overloaded';

/** The model's inputs for one user: one row of the features that a statement read for several users. */
export interface InferenceInputs {
  readonly batch: FeatureBatch;
  readonly row: number;
}

export interface PredictedOutcome {
  readonly kind: 'predicted';
  readonly outputs: Buffer;
  readonly contextVersion: number;
  readonly computedAt: number;
  readonly kept: boolean;
  /** The certificate of the statement that read the features; it covers this user. */
  readonly certificate: Certificate;
  readonly inputs: InferenceInputs;
}

/** The result for one user, or for one row of request features. */
export type LiveOutcome =
  | PredictedOutcome
  /**
   * The outcomes of a reader with request features, one for each of its rows, in order. One statement read the features
   * of all rows.
   */
  | { readonly kind: 'rows'; readonly rows: readonly LiveOutcome[] }
  | { readonly kind: 'no_features' }
  | { readonly kind: 'erased' }
  | {
      readonly kind: 'failed';
      readonly reason: LiveFailureReason;
      readonly detail: string;
      /** The names of unusable features, if features are the cause. */
      readonly features?: readonly string[];
    };

export const NO_FEATURES: LiveOutcome = Object.freeze({ kind: 'no_features' });

/** The outcome if the caller has used up its own limit of live inferences. */
export const OVER_QUOTA: LiveOutcome = Object.freeze({
  kind: 'failed',
  reason: 'overloaded',
  detail: "the caller's limit of live inferences is used up",
});

/** The outcome if one reader needs more live inferences at once than the caller's limit ever allows. */
export const BEYOND_QUOTA: LiveOutcome = Object.freeze({
  kind: 'failed',
  reason: 'overloaded',
  detail: "the call wants more live inferences of one user than the caller's limit allows at once",
});

/** The outcome of a reader that was rejected before any work, since its answer would have been too late. */
export const NO_ROOM: LiveOutcome = Object.freeze({
  kind: 'failed',
  reason: 'overloaded',
  detail: 'more users wait for the model than it can answer in time',
});

/**
 * The outcome if the caller has disconnected, or its own deadline allowed less time than the predictor's time limit. A
 * missed deadline counts against the arm. Callers' deadlines are the same in every arm, so without these reads a slow
 * arm would look as fast as the deadlines.
 */
export const CALLER_GONE: LiveOutcome = Object.freeze({
  kind: 'failed',
  reason: 'live_timeout',
  detail:
    "the caller has disconnected, or its own deadline, which is shorter than the predictor's, left too little time",
});

/** Returns whether the caller's own quota prevented the inference. Such an outcome says nothing about the arm. */
export function isOverQuota(outcome: LiveOutcome | undefined): boolean {
  return outcome === OVER_QUOTA || outcome === BEYOND_QUOTA;
}

/** Returns whether a reader was rejected before any store or model was asked. */
export function isRefusal(outcome: LiveOutcome): boolean {
  return outcome === NO_ROOM || isOverQuota(outcome);
}

/**
 * Returns the prediction of a user, or of the user's first row if all its rows were predicted; undefined if any failed.
 */
export function predictedOf(outcome: LiveOutcome | undefined): PredictedOutcome | undefined {
  if (outcome?.kind !== 'rows') return outcome?.kind === 'predicted' ? outcome : undefined;
  const [first, ...others] = outcome.rows.map((row) => (row.kind === 'predicted' ? row : undefined));
  return others.every((row) => row !== undefined) ? first : undefined;
}

/** Returns whether live inference gave no final result, so that a lower rung may answer. */
export function isLost(outcome: LiveOutcome | undefined): boolean {
  return outcome?.kind !== 'erased' && predictedOf(outcome) === undefined;
}

/**
 * Returns whether a user's outcome is final, so that the user is not inferred again. It is not final if a predicted row
 * has a label below `leastLabel`: an event has come since that row's features were read.
 */
export function isInferred(outcome: LiveOutcome | undefined, leastLabel: number): boolean {
  if (outcome?.kind !== 'rows') return outcome !== undefined;
  return outcome.rows.every((row) => row.kind !== 'predicted' || row.contextVersion >= leastLabel);
}

export interface LiveReader {
  readonly userId: string;
  /** The lowest label that this reader accepts. */
  readonly minVersion: number;
  /** Whether this reader accepts only a statement that was sent after it arrived (`no-cache`). */
  readonly fresh: boolean;
  /**
   * Whether this reader was not content with a fresh prediction. Its answer replaces that prediction for later readers, so
   * it is in Postgres before the reader is answered.
   */
  readonly demanded?: boolean;
  /**
   * The request features of this reader, a row for each requested prediction. Such a reader shares no inference with
   * other readers, and its predictions are not stored. Absent: no request features.
   */
  readonly rows?: readonly RequestRow[] | undefined;
}

/** Returns the number of model rows of a reader. */
export function rowsOf({ rows }: Pick<LiveReader, 'rows'>): number {
  return rows?.length ?? 1;
}

export interface LiveRequest {
  readonly version: ModelVersion;
  readonly assignment: Assignment;
  readonly history: string;
  readonly timeoutMs: number;
  /** Whether the caller's own deadline shortened `timeoutMs`. If so, a missed deadline is `CALLER_GONE`. */
  readonly isCallersTime?: boolean;
  /** Whether the predictor infers live at all. */
  readonly enabled: boolean;
  readonly readers: readonly LiveReader[];
  /** Calls back when the caller disconnects: its readers stop waiting. */
  readonly onGone?: CallerPatience['onGone'];
}

export interface LivePredictor {
  /** Returns an outcome for each reader; empty if live inference is switched off. Never rejects. */
  predict(request: LiveRequest): Promise<ReadonlyMap<string, LiveOutcome>>;
}

/**
 * The share of the caller's time that live inference may take. The rest is for the answer, from a lower rung if needed.
 */
const LIVE_SHARE = 0.9;

function withPatience(request: LiveRequest, patience: CallerPatience): LiveRequest {
  const callersMs = Math.floor(LIVE_SHARE * patience.leftMs());
  const timeoutMs = Math.min(request.timeoutMs, callersMs);
  const isCallersTime = callersMs < request.timeoutMs;
  return { ...request, timeoutMs, isCallersTime, onGone: (tell) => patience.onGone(tell) };
}

/**
 * Infers for a caller whose transport reports a disconnect. Rejects with `caller_gone` if the caller disconnects before
 * or during the inference.
 */
async function predictForPatient(
  live: LivePredictor,
  request: LiveRequest,
  { liveQuota, patience }: { readonly liveQuota: LiveQuota | undefined; readonly patience: CallerPatience },
): Promise<ReadonlyMap<string, LiveOutcome>> {
  let isGone = false;
  patience.onGone(() => {
    isGone = true;
  });
  if (isGone) throw callerGone();
  const outcomes = await predictWithinQuota(live, withPatience(request, patience), liveQuota);
  if (isGone) throw callerGone();
  return outcomes;
}

/**
 * Infers within a caller's deadline and quota. Readers beyond the quota get `OVER_QUOTA`. A reader that shares another
 * reader's inference counts, too. A reader with request features counts once for each row, and gets either all of its
 * rows or none. Each `overloaded` row is returned to the quota. Rejects with `caller_gone` if the caller has
 * disconnected.
 */
export function predictWithin(
  live: LivePredictor,
  request: LiveRequest,
  { liveQuota, patience }: Pick<ReadOptions, 'liveQuota' | 'patience'>,
): Promise<ReadonlyMap<string, LiveOutcome>> {
  if (patience) return predictForPatient(live, request, { liveQuota, patience });
  return predictWithinQuota(live, request, liveQuota);
}

async function predictWithinQuota(
  live: LivePredictor,
  request: LiveRequest,
  quota: LiveQuota | undefined,
): Promise<ReadonlyMap<string, LiveOutcome>> {
  const { readers } = request;
  if (!quota || !request.enabled) return live.predict(request);
  const wanted = readers.reduce((sum, reader) => sum + rowsOf(reader), 0);
  let left = quota.take(wanted);
  if (left >= wanted) return predictTaken(live, request, quota);
  const allowed: LiveReader[] = [];
  const refused: [string, LiveOutcome][] = [];
  for (const reader of readers) {
    if (rowsOf(reader) > left) refused.push([reader.userId, rowsOf(reader) > quota.most ? BEYOND_QUOTA : OVER_QUOTA]);
    else {
      left -= rowsOf(reader);
      allowed.push(reader);
    }
  }
  quota.giveBack(left);
  if (allowed.length === 0) return new Map(refused);
  return new Map([...(await predictTaken(live, { ...request, readers: allowed }, quota)), ...refused]);
}

/**
 * Infers the readers that the quota allowed. Gives the overloaded rows back to the quota, since no model ran for them.
 */
async function predictTaken(
  live: LivePredictor,
  request: LiveRequest,
  quota: LiveQuota,
): Promise<ReadonlyMap<string, LiveOutcome>> {
  const outcomes = await live.predict(request);
  const unused = request.readers.reduce((sum, reader) => sum + withoutRoom(outcomes.get(reader.userId), reader), 0);
  if (unused > 0) quota.giveBack(unused);
  return outcomes;
}

/** Returns how many rows of a reader were overloaded. */
function withoutRoom(outcome: LiveOutcome | undefined, reader: LiveReader): number {
  if (outcome?.kind === 'rows') return outcome.rows.filter(isOverloaded).length;
  return outcome && isOverloaded(outcome) ? rowsOf(reader) : 0;
}

function isOverloaded(outcome: LiveOutcome): boolean {
  return outcome.kind === 'failed' && outcome.reason === 'overloaded';
}
