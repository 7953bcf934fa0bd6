/** What a certified read makes of the candidates of one user: an answer, an error, or why neither is there yet. */
import { type Answer, type ReadResult, type Reason, storedAnswer } from './answer.ts';
import { isErased, type UserState } from './certificate.ts';
import type { CertifiedRead, Standing } from './certified-read.ts';
import { isFresh, judge, serviceOf } from './judge.ts';
import { notFound, unreachableContext } from './read-errors.ts';
import type { ReadOptions } from './read-options.ts';
import type { StoredPrediction } from './stored-prediction.ts';

export function standingOf(read: CertifiedRead, userId: string, candidates: readonly StoredPrediction[]): Standing {
  return { userId, user: read.certificate.user(userId, read.predictor.name), candidates };
}

/** The answer where stored candidates suffice, an error where none can, else undefined. */
export function settle(read: CertifiedRead, standing: Standing): ReadResult | undefined {
  const { assignment, certificate, predictor, options } = read;
  const unreachable = unreachableContext(options.minContext, certificate.history, standing.user);
  if (unreachable) return unreachable;
  if (isErased(standing.user)) return notFound(standing.userId);
  if (options.noCache) return undefined;
  let stale: Answer | undefined;
  for (const candidate of standing.candidates) {
    const state = judge(candidate, standing.user, assignment, certificate, predictor.policy.freshness);
    const service = serviceOf(candidate, state, certificate, predictor.policy.freshness, options);
    const answer = service && storedAnswer(read, standing, candidate, service.source, service.reason);
    if (answer && answer.source !== 'stale') return answer;
    // A caller that takes a stale answer is still given the fresh one that a later candidate may be.
    if (answer && label(answer) > label(stale)) stale = answer;
  }
  return stale;
}

function label(answer: Answer | undefined): number {
  return answer?.predictedFromContextVersion ?? -1;
}

/** The least label that a live answer of this read may have: nothing from before an erasure, whoever inferred it. */
export function leastLabel({ touched, deletedVersion }: UserState, { minContext }: ReadOptions): number {
  return Math.max(touched, deletedVersion > 0 ? deletedVersion + 1 : 0, minContext?.version ?? 0);
}

/** Whether Postgres' rows may know more than the candidates at hand: no candidate fits at all. */
export function isLacking(read: CertifiedRead, standing: Standing): boolean {
  if (read.options.noCache) return false;
  const { assignment, certificate, predictor } = read;
  // Where nothing is inferred, a newer answer can only be there: Redis may have lost what a partial run stored.
  if (read.options.onlyIfCached || !predictor.policy.freshness.live) return true;
  return standing.candidates.every((candidate) => {
    const state = judge(candidate, standing.user, assignment, certificate, predictor.policy.freshness);
    return state === 'foreign';
  });
}

/** Why the stored candidates did not do: the reason of the live answer. */
export function whyLive(read: CertifiedRead, standing: Standing): Reason {
  const { assignment, certificate, predictor, options } = read;
  if (options.noCache) return 'requested';
  const states = standing.candidates.map((candidate) =>
    judge(candidate, standing.user, assignment, certificate, predictor.policy.freshness),
  );
  if (states.some(isFresh)) return 'requested';
  // An expired candidate is of the user's current context, so that is not what changed since.
  if (states.includes('expired')) return 'expired';
  if (states.includes('stale')) return 'context_newer';
  const foreign = standing.candidates.find((_, i) => states[i] === 'foreign');
  if (foreign && foreign.modelVersionId !== assignment.modelVersionId) return 'version_changed';
  if (foreign && foreign.overlayFloor !== null && foreign.overlayFloor < assignment.overlayFloor) {
    return assignment.generation?.isOutdated ? 'context_newer' : 'rolled_back';
  }
  return assignment.generation === null && assignment.modelNumber > 1 ? 'version_changed' : 'missing';
}
