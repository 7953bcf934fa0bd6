/**
 * The rule at the heart: what a stored prediction is worth in the light of a certificate. Pure; the only clock in it is
 * Postgres' own, and it decides nothing but expiry.
 */
import { type Assignment, type Certificate, layerOf, type UserState } from './certificate.ts';
import type { FreshnessPolicy } from './predictor.ts';
import type { ReadOptions } from './read-options.ts';
import type { Label } from './stored-prediction.ts';

/**
 * - `fresh`: computed from the user's current context, and not expired
 * - `restarted`: fresh, its expiry counted from a rollback on
 * - `stale`: computed from an older context, or before a bulk change of a watched source; `expired`: older than `maxAge`
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
  if (isOutdated(candidate, assignment)) return 'stale';
  if (policy.maxAgeMs === null || certificate.now - candidate.computedAt <= policy.maxAgeMs) return 'fresh';
  const restart = candidate.layer === 'generation' ? assignment.expiresFrom : null;
  return restart !== null && certificate.now - restart <= policy.maxAgeMs ? 'restarted' : 'expired';
}

/** Whether a candidate belongs to what Postgres assigns: its labels count there. */
export function fits(candidate: Label, assignment: Assignment, history: string): boolean {
  if (candidate.modelVersionId !== assignment.modelVersionId) return false;
  if (candidate.layer === 'generation') {
    // A published generation's labels are true in whatever history lists it as published.
    return layerOf(assignment.generation, candidate.generationId) !== null;
  }
  return candidate.history === history && candidate.overlayFloor === assignment.overlayFloor;
}

/**
 * A bulk change makes each generation whose run did not see it stale as a whole, a base as well as the one above it; entries
 * of the overlay then have a lower floor and do not fit.
 */
function isOutdated(candidate: Label, { generation }: Assignment): boolean {
  return candidate.layer === 'generation' && layerOf(generation, candidate.generationId)?.isOutdated === true;
}

export function isFresh(state: CandidateState): boolean {
  return state === 'fresh' || state === 'restarted';
}

/** Whether a candidate that is not fresh may still be served where it is said to be stale. */
export function isServableAsStale(state: CandidateState): boolean {
  return state === 'stale' || state === 'expired';
}

/** What a stored candidate is served as. */
interface Service {
  readonly source: 'batch' | 'live' | 'stale';
  readonly reason: 'fresh' | 'rolled_back' | 'expired' | 'context_newer';
}

/** How a candidate answers a read under its caller's directives; undefined where it does not do. */
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
  // Since when an older context is stale is not kept; it cannot be longer than the prediction's own age.
  const ageMs = certificate.now - candidate.computedAt;
  const staleMs = state === 'expired' && policy.maxAgeMs !== null ? ageMs - policy.maxAgeMs : ageMs;
  if (staleMs > options.maxStale * 1000) return undefined;
  return { source: 'stale', reason: state === 'expired' ? 'expired' : 'context_newer' };
}

/** Whether the caller excludes a candidate on every rung: older than `max-age`, or of an older context than its token's. */
export function isRuledOut(
  candidate: Label,
  certificate: Pick<Certificate, 'now'>,
  { maxAge, minContext }: ReadOptions,
): boolean {
  if (minContext !== null && candidate.contextVersion < minContext.version) return true;
  return maxAge !== null && certificate.now - candidate.computedAt > maxAge * 1000;
}
