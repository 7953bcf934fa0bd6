/**
 * The rungs below a fresh stored prediction: live → stale → default → an error with a retry time. Each rung can be
 * switched off per predictor. Every answer names its rung.
 */
import { type Answer, labelOf, originOf, type ReadResult, storedAnswer } from './answer.ts';
import {
  beyondLiveLimit,
  callerGone,
  featuresFailed,
  featuresUnusable,
  liveIsOff,
  notFound,
  outputUnusable,
  overLiveLimit,
  processIsNotLive,
  TandemError,
} from './errors.ts';
import { isFresh, isRuledOut, isServableAsStale } from './judge.ts';
import {
  BEYOND_QUOTA,
  CALLER_GONE,
  isOverQuota,
  type LiveOutcome,
  NO_ROOM,
  OVER_QUOTA,
  type PredictedOutcome,
} from './live-predictor.ts';
import { decodeOutputs } from './outputs.ts';
import type { FreshnessPolicy } from './predictor.ts';
import type { Reason } from './reasons.ts';
import type { CertifiedRead, Standing } from './settle.ts';

/** Returns the rung below live inference. It is `error` if the caller accepts only an inference of its own values. */
export function failureRung({
  predictor,
  options,
}: Pick<CertifiedRead, 'predictor' | 'options'>): FreshnessPolicy['onLiveFailure'] {
  return options.request?.isLiveOnly ? 'error' : predictor.policy.freshness.onLiveFailure;
}

/** Returns the answers of a user: one, or one for each row of request features. */
export function answersOf(
  read: CertifiedRead,
  standing: Standing,
  why: Reason,
  outcome: LiveOutcome | undefined,
): ReadResult | readonly ReadResult[] {
  if (outcome?.kind !== 'rows') return fallBack(read, standing, why, outcome);
  return outcome.rows.map((row) => fallBack(read, standing, why, row));
}

/** Returns the answer of a user without a fresh candidate, from the result of live inference. */
export function fallBack(
  read: CertifiedRead,
  standing: Standing,
  why: Reason,
  outcome: LiveOutcome | undefined,
): ReadResult {
  const onLiveFailure = failureRung(read);
  if (outcome?.kind === 'predicted') return liveAnswer(read, standing, why, outcome);
  if (outcome?.kind === 'erased') return notFound(standing.userId);
  if (outcome?.kind === 'no_features') {
    // If the user has no feature row, a stored prediction may still be served as stale. Otherwise the user is unknown.
    const stored = onLiveFailure === 'stale' ? staleAnswer(read, standing, 'missing', why) : undefined;
    return stored ?? notFound(standing.userId);
  }
  const reason = outcome?.kind === 'failed' ? outcome.reason : why;
  const lower =
    (onLiveFailure === 'stale' ? staleAnswer(read, standing, reason, why) : undefined) ??
    (onLiveFailure === 'error' || read.options.minContext ? undefined : defaultAnswer(read, standing, reason, why));
  if (!lower) return neverInferred(read, outcome) ?? noPrediction(reason, outcome, standing.userId);
  if (isOverQuota(outcome)) return { ...lower, isOverQuota: true };
  return outcome?.kind === 'failed' ? { ...lower, liveFailure: outcome.detail } : lower;
}

/**
 * Returns the error of a read that only an inference may answer, if live inference is off; undefined for other reads.
 */
function neverInferred(read: CertifiedRead, outcome: LiveOutcome | undefined): TandemError | undefined {
  if (outcome !== undefined || !read.options.noCache || failureRung(read) === 'stale') return undefined;
  return read.predictor.policy.freshness.live ? processIsNotLive() : liveIsOff(read.predictor.name);
}

function liveAnswer(read: CertifiedRead, standing: Standing, why: Reason, outcome: PredictedOutcome): Answer {
  const { certificate, version } = read;
  const candidate = {
    computedAt: outcome.computedAt,
    contextVersion: outcome.contextVersion,
    generationId: null,
  };
  // The features were read after the certificate: their version may already be newer.
  const ofFeatures = outcome.certificate.user(standing.userId, read.predictor.name);
  const { touched } = ofFeatures.version > standing.user.version ? ofFeatures : standing.user;
  return {
    ...originOf(standing.userId, read, candidate),
    prediction: decodeOutputs(version.outputs, outcome.outputs),
    source: 'live',
    reason: why,
    ageSeconds: 0,
    contextVersion: Math.max(standing.user.version, outcome.contextVersion),
    lastConcerningVersion: touched,
    history: certificate.history,
    hit: false,
    kept: outcome.kept,
    forwarded: why,
    inputs: outcome.inputs,
  };
}

function staleAnswer(read: CertifiedRead, standing: Standing, reason: Reason, why: Reason): Answer | undefined {
  let best: Answer | undefined;
  for (const { candidate, state } of standing.judged) {
    const label = labelOf(candidate);
    if (isRuledOut(label, read.certificate, read.options)) continue;
    if (!isServableAsStale(state) && !isFresh(state)) continue;
    if (best && label.contextVersion <= (best.predictedFromContextVersion ?? -1)) continue;
    best = storedAnswer(read, standing, candidate, 'stale', reason) ?? best;
  }
  return best && { ...best, forwarded: why };
}

function defaultAnswer(read: CertifiedRead, standing: Standing, reason: Reason, why: Reason): Answer | undefined {
  const { assignment, certificate, predictor } = read;
  const prediction = predictor.policy.freshness.default;
  if (!prediction) return undefined;
  return {
    predictor: predictor.name,
    userId: standing.userId,
    prediction,
    source: 'default',
    reason,
    modelNumber: assignment.modelNumber,
    variant: assignment.arm,
    rollout: read.rollout?.servedTo(standing.userId) ?? null,
    generationNumber: null,
    computedAt: null,
    ageSeconds: null,
    contextVersion: standing.user.version,
    lastConcerningVersion: standing.user.touched,
    predictedFromContextVersion: null,
    history: certificate.history,
    hit: false,
    kept: false,
    forwarded: why,
  };
}

/** Returns the error at the end of the ladder. */
export function noPrediction(reason: Reason, outcome: LiveOutcome | undefined, userId: string): TandemError {
  if (outcome === OVER_QUOTA) return overLiveLimit();
  if (outcome === BEYOND_QUOTA) return beyondLiveLimit();
  if (outcome === CALLER_GONE) return callerGone();
  if (outcome === NO_ROOM) return OVERLOADED;
  if (outcome?.kind === 'failed' && reason === 'features_failed') return featuresFailed(userId, outcome.detail);
  if (outcome?.kind === 'failed' && reason === 'features_unusable') {
    return featuresUnusable(userId, outcome.features ?? [], outcome.detail);
  }
  if (outcome?.kind === 'failed' && reason === 'output_unusable') return outputUnusable(userId, outcome.detail);
  return errorOf(reason, outcome);
}

function errorOf(reason: Reason, outcome: LiveOutcome | undefined): TandemError {
  const code =
    reason === 'overloaded' || reason === 'live_timeout' || reason === 'live_failed' ? reason : 'no_prediction';
  const first =
    code === 'live_failed'
      ? "retry after the time in Retry-After; if it fails again, the service's log says why (docs/failures.md)"
      : 'retry after the time in Retry-After; freshness.liveTimeout is the time that the model has';
  return new TandemError(code, `There is no fresh prediction, and no fallback may be served (${reason}).`, {
    retryAfter: 1,
    remedy: `${first}; freshness.onLiveFailure and freshness.default define what may be served instead, but not for a ranking`,
    detail: outcome?.kind === 'failed' ? outcome.detail : undefined,
  });
}

/**
 * The error of an overload, created once: a rejection must be cheap, and an error's stack would be most of its cost.
 */
const OVERLOADED = errorOf('overloaded', NO_ROOM);
