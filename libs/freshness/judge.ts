/**
 * The central rule: judges a stored prediction under a certificate. It is pure. It uses only Postgres' clock, and only
 * for expiry.
 */
import { type Assignment, type Certificate, layerOf, type UserState } from './certificate.ts';
import type { FreshnessPolicy } from './predictor.ts';
import type { ReadOptions } from './read-options.ts';
import type { Label } from './stored-prediction.ts';

/**
 * - `fresh`: computed from the user's current context, and not expired
 * - `restarted`: fresh, with the expiry counted from a rollback
 * - `stale`: computed from an older context, or before a bulk change of a watched source, or while a watch is faulted;
 *   `expired`: older than `maxAge`
 * - `foreign`: of another generation, history, model version or floor; `blocked`: from before the user's erasure
 */
export type CandidateState = 'fresh' | 'restarted' | 'stale' | 'expired' | 'foreign' | 'blocked';

/** Judges one candidate of a user. */
export function judge(
  candidate: Label,
  user: UserState,
  assignment: Assignment,
  certificate: Pick<Certificate, 'history' | 'now'>,
  policy: Pick<FreshnessPolicy, 'maxAgeMs'>,
): CandidateState {
  if (!fits(candidate, assignment, certificate.history)) return 'foreign';
  if (user.deletedVersion > 0 && candidate.contextVersion <= user.deletedVersion) return 'blocked';
  if (candidate.contextVersion < user.touched) return 'stale';
  if (assignment.isUnwatched === true || isOutdated(candidate, assignment)) return 'stale';
  if (policy.maxAgeMs === null || certificate.now - candidate.computedAt <= policy.maxAgeMs) return 'fresh';
  const restart = candidate.layer === 'generation' ? assignment.expiresFrom : null;
  return restart !== null && certificate.now - restart <= policy.maxAgeMs ? 'restarted' : 'expired';
}

/** Returns whether a candidate belongs to the current assignment, so that its labels count. */
export function fits(candidate: Label, assignment: Assignment, history: string): boolean {
  if (candidate.modelVersionId !== assignment.modelVersionId) return false;
  if (candidate.layer === 'generation') {
    // A published generation's labels are true in each history that lists it as published.
    return layerOf(assignment.generation, candidate.generationId) !== null;
  }
  return candidate.history === history && isOfArm(candidate, assignment);
}

/** Returns whether an overlay entry has the model version and the floor of an arm. */
export function isOfArm(
  entry: Pick<Label, 'modelVersionId' | 'overlayFloor'>,
  { modelVersionId, overlayFloor }: Assignment,
): boolean {
  return entry.modelVersionId === modelVersionId && entry.overlayFloor === overlayFloor;
}

/**
 * Compares two fitting candidates of one user: the first of them answers. The higher label answers, then the later
 * time. The row of a base comes after the row above it.
 */
export function newestFirst(one: Label, other: Label, { generation }: Pick<Assignment, 'generation'>): number {
  if (one.layer === 'generation' && other.layer === 'generation') {
    return Number(other.generationId === generation?.id) - Number(one.generationId === generation?.id);
  }
  if (isOlder(one, other)) return 1;
  return isOlder(other, one) ? -1 : 0;
}

type Age = Pick<Label, 'contextVersion' | 'computedAt'>;

/** Returns whether a prediction is older than another of its user: by its label, then by its time. */
export function isOlder(one: Age, other: Age): boolean {
  if (one.contextVersion !== other.contextVersion) return one.contextVersion < other.contextVersion;
  return one.computedAt < other.computedAt;
}

/**
 * Returns whether a bulk change makes a generation, or a base, stale as a whole: its run began before the change.
 * Overlay entries from before the change have a lower floor, so they are foreign.
 */
function isOutdated(candidate: Label, { generation }: Assignment): boolean {
  return candidate.layer === 'generation' && layerOf(generation, candidate.generationId)?.isOutdated === true;
}

export function isFresh(state: CandidateState): boolean {
  return state === 'fresh' || state === 'restarted';
}

/** Returns whether a candidate that is not fresh may still be served, marked stale. */
export function isServableAsStale(state: CandidateState): boolean {
  return state === 'stale' || state === 'expired';
}

/** The state in which a stored candidate is served. */
interface Service {
  readonly source: 'batch' | 'live' | 'stale';
  readonly reason: 'fresh' | 'rolled_back' | 'expired' | 'context_newer';
}

/** Returns how a candidate answers a read under its caller's directives; undefined if it may not. */
export function serviceOf(
  candidate: Label,
  state: CandidateState,
  certificate: Pick<Certificate, 'now'>,
  policy: Pick<FreshnessPolicy, 'maxAgeMs'>,
  options: ReadOptions,
): Service | undefined {
  if (isRuledOut(candidate, certificate, options)) return undefined;
  if (isFresh(state)) return { source: candidate.source, reason: state === 'restarted' ? 'rolled_back' : 'fresh' };
  if (options.maxStale === null || !isServableAsStale(state)) return undefined;
  // The time of the event that outdated the context is not stored, so the prediction's own age is the upper bound.
  const ageMs = certificate.now - candidate.computedAt;
  const staleMs = state === 'expired' && policy.maxAgeMs !== null ? ageMs - policy.maxAgeMs : ageMs;
  if (staleMs > options.maxStale * 1000) return undefined;
  return { source: 'stale', reason: state === 'expired' ? 'expired' : 'context_newer' };
}

/**
 * Returns whether the caller excludes a candidate on every rung: it is older than `max-age`, or its context is older
 * than the token's.
 */
export function isRuledOut(
  candidate: Label,
  certificate: Pick<Certificate, 'now'>,
  { maxAge, minContext }: ReadOptions,
): boolean {
  if (minContext !== null && candidate.contextVersion < minContext.version) return true;
  return maxAge !== null && certificate.now - candidate.computedAt > maxAge * 1000;
}
