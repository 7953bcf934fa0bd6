/** What a read answers, and which stored candidates its caller's directives let it answer with. */
import type { Assignment, UserState } from './certificate.ts';
import type { CertifiedRead, Standing } from './certified-read.ts';
import { TandemError } from './errors.ts';
import { type CandidateState, isFresh, isServableAsStale } from './freshness.ts';
import { decodeOutputs } from './outputs.ts';
import type { ModelVersion, Prediction } from './predictor.ts';
import type { StoredPrediction } from './stored-prediction.ts';

/** Where an answer comes from: stored by a run; inferred live, now or earlier; not known to be fresh; the declared default. */
export type Source = 'batch' | 'live' | 'stale' | 'default';

/** Why that source. */
export type Reason =
  | 'fresh'
  | 'context_newer'
  | 'missing'
  | 'expired'
  | 'version_changed'
  | 'rolled_back'
  | 'requested'
  | 'live_failed'
  | 'live_timeout'
  | 'overloaded'
  | 'unverified';

export interface Answer {
  readonly predictor: string;
  readonly userId: string;
  readonly prediction: Prediction;
  readonly source: Source;
  readonly reason: Reason;
  readonly modelNumber: number;
  readonly variant: string;
  readonly generationNumber: number | null;
  /** Null for a default: nothing was computed. ms since 1970. */
  readonly computedAt: number | null;
  readonly ageSeconds: number | null;
  /** The user's context version as Postgres certified it; null where it did not answer. */
  readonly contextVersion: number | null;
  readonly predictedFromContextVersion: number | null;
  readonly history: string | null;
  /** Whether the answer was stored before this read. */
  readonly hit: boolean;
  /** Whether this read's own inference was stored for the next. */
  readonly kept: boolean;
  /** Why the stored answer did not do, where the answer is not a hit: the `detail` of Cache-Status. */
  readonly forwarded: Reason | null;
}

/** An answer, or the error that stands in its place. */
export type ReadResult = Answer | TandemError;

/** A context that an event's acknowledgement named. */
export interface ContextToken {
  readonly history: string;
  readonly version: number;
}

/** What the caller demands of an answer, in HTTP's terms. Ages in seconds. */
export interface ReadOptions {
  readonly noCache: boolean;
  readonly onlyIfCached: boolean;
  readonly maxAge: number | null;
  /** null: not given; Infinity: any staleness. */
  readonly maxStale: number | null;
  readonly minContext: ContextToken | null;
}

export const PLAIN_READ: ReadOptions = Object.freeze({
  noCache: false,
  onlyIfCached: false,
  maxAge: null,
  maxStale: null,
  minContext: null,
});

/** The error of a read that demands a context which cannot be had, or undefined. */
export function assertReachable(token: ContextToken | null, history: string, user: UserState): TandemError | undefined {
  if (token === null) return undefined;
  if (token.history !== history) {
    return new TandemError(
      'history_changed',
      'The context token is of another history of the database (a restore or failover came between).',
      {
        field: 'Prediction-Min-Context',
        remedy: 'send the event again; its new acknowledgement carries a token of this history',
      },
    );
  }
  if (token.version <= user.version) return undefined;
  return new TandemError(
    'context_not_reached',
    `The user's context is at version ${user.version}, the token demands ${token.version}.`,
    {
      field: 'Prediction-Min-Context',
      remedy: 'use the token of an acknowledged event of this user',
    },
  );
}

/** The answer that a candidate gives under the caller's directives, or undefined where it does not do. */
export function isAcceptable(
  read: CertifiedRead,
  standing: Standing,
  candidate: StoredPrediction,
  state: CandidateState,
): Answer | undefined {
  const { certificate, options, predictor } = read;
  if (options.minContext && candidate.contextVersion < options.minContext.version) return undefined;
  const ageSeconds = (certificate.now - candidate.computedAt) / 1000;
  if (options.maxAge !== null && ageSeconds > options.maxAge) return undefined;
  if (isFresh(state)) {
    const reason = state === 'restarted' ? 'rolled_back' : 'fresh';
    return storedAnswer(read, standing, candidate, candidate.source, reason);
  }
  if (options.maxStale === null || !isServableAsStale(state)) return undefined;
  // Since when an older context is stale is not kept; it cannot be longer than the prediction's own age.
  const maxAgeMs = predictor.policy.freshness.maxAgeMs;
  const staleSeconds = state === 'expired' && maxAgeMs !== null ? ageSeconds - maxAgeMs / 1000 : ageSeconds;
  if (staleSeconds > options.maxStale) return undefined;
  return storedAnswer(read, standing, candidate, 'stale', state === 'expired' ? 'expired' : 'context_newer');
}

/** The answer of a stored candidate, or undefined where its bytes are not of the model version's layout. */
export function storedAnswer(
  read: CertifiedRead,
  standing: Standing,
  candidate: StoredPrediction,
  source: Source,
  reason: Reason,
): Answer | undefined {
  const { certificate, assignment, version } = read;
  const prediction = predictionOf(version, candidate);
  return (
    prediction && {
      ...place(standing.userId, assignment, candidate),
      prediction,
      source,
      reason,
      ageSeconds: wholeSeconds(certificate.now - candidate.computedAt),
      contextVersion: standing.user.version,
      history: certificate.history,
      hit: true,
      kept: false,
      forwarded: null,
    }
  );
}

/** The parts of an answer that its candidate and assignment decide. */
export function place(
  userId: string,
  assignment: Assignment,
  candidate: Pick<StoredPrediction, 'computedAt' | 'contextVersion' | 'layer'>,
) {
  return {
    predictor: assignment.predictor,
    userId,
    modelNumber: assignment.modelNumber,
    variant: assignment.arm,
    generationNumber: candidate.layer === 'generation' ? (assignment.generation?.number ?? null) : null,
    computedAt: candidate.computedAt,
    predictedFromContextVersion: candidate.contextVersion,
  };
}

export function wholeSeconds(ms: number): number {
  return Math.max(0, Math.floor(ms / 1000));
}

/** A stored candidate's prediction; undefined where its bytes are not of the layout: a damaged entry is no candidate. */
export function predictionOf(version: ModelVersion, candidate: StoredPrediction): Prediction | undefined {
  try {
    return decodeOutputs(version.outputs, candidate.outputs);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
