/**
 * Settles a certified read for one user: turns the candidates into an answer, an error, or the reason why there is
 * neither yet. Each candidate is judged once, when the user's standing is created.
 */
import { type Answer, type Candidate, labelOf, type ReadResult, storedAnswer } from './answer.ts';
import { type AssignedRollout, type Assignment, type Certificate, isErased, type UserState } from './certificate.ts';
import { notFound, unreachableContext } from './errors.ts';
import { type CandidateState, isFresh, isOfArm, isOlder, judge, newestFirst, serviceOf } from './judge.ts';
import type { LiveOutcome } from './live-predictor.ts';
import { isAhead } from './lost-past.ts';
import { type PredictionMemory, remember } from './prediction-memory.ts';
import type { ModelVersion, Predictor } from './predictor.ts';
import type { ReadOptions, ReadTimes } from './read-options.ts';
import type { Reason } from './reasons.ts';
import type { RequestedRows } from './request-features.ts';

/** The facts of a read once Postgres has answered. */
export interface CertifiedRead {
  readonly predictor: Predictor;
  readonly version: ModelVersion;
  /** The assignment of the arm that all users of the read share. */
  readonly assignment: Assignment;
  /** The active rollout; null if there is none. */
  readonly rollout: AssignedRollout | null;
  readonly certificate: Certificate;
  /** Whether the certificate began after the candidates were found, so that those ahead of it are lost, or too new. */
  readonly isSecond?: boolean;
  readonly options: ReadOptions;
  /** The request features of the call, by user. */
  readonly requested: RequestedRows;
  /** The failed outcomes of this read's own inference, by user. */
  readonly inferred?: ReadonlyMap<string, LiveOutcome> | undefined;
  /** Receives the durations of the read's parts. */
  readonly times?: ReadTimes;
}

/** The state of one user while a read decides. */
export interface Standing {
  readonly userId: string;
  readonly user: UserState;
  readonly judged: readonly JudgedCandidate[];
  /** Whether a fresh candidate is ahead of the certificate: it answers only under a second certificate. */
  readonly isDoubted: boolean;
}

interface JudgedCandidate {
  readonly candidate: Candidate;
  readonly state: CandidateState;
}

export function standingOf(read: CertifiedRead, userId: string, candidates: readonly Candidate[]): Standing {
  const { assignment, certificate, predictor } = read;
  const user = certificate.user(userId, predictor.name);
  let isDoubted = false;
  const judged: JudgedCandidate[] = [];
  for (const candidate of candidates) {
    const label = labelOf(candidate);
    const state = judge(label, user, assignment, certificate, predictor.policy.freshness);
    if (isAhead(label, user.version) && isFresh(state)) {
      if (read.isSecond) continue;
      isDoubted = true;
    }
    judged.push({ candidate, state });
  }
  return { userId, user, judged, isDoubted };
}

/**
 * Returns the answer if a stored candidate answers the read, an error if the read cannot be answered, else undefined.
 * @param memory remembers fresh answers of a generation
 */
export function settle(read: CertifiedRead, standing: Standing, memory: PredictionMemory): ReadResult | undefined {
  const { certificate, predictor, options } = read;
  const unreachable = unreachableContext(options.minContext, certificate.history, standing.user);
  if (unreachable) return unreachable;
  if (isErased(standing.user)) return notFound(standing.userId);
  if (options.noCache || standing.isDoubted || isOverruled(read, standing)) return undefined;
  let stale: Answer | undefined;
  for (const { candidate, state } of inOrder(read, standing)) {
    const service = serviceOf(labelOf(candidate), state, certificate, predictor.policy.freshness, options);
    const answer = service && storedAnswer(read, standing, candidate, service.source, service.reason);
    if (answer && answer.source !== 'stale') {
      return options.isPart ? answer : remember(memory, read.assignment.generation, candidate, answer);
    }
    // A caller that accepts a stale answer still gets a fresh one if a later candidate is fresh.
    if (answer && versionOf(answer) > versionOf(stale)) stale = answer;
  }
  return stale;
}

/** Returns the candidates in the order in which they answer: the newest first. */
function inOrder({ assignment }: CertifiedRead, { judged }: Standing): readonly JudgedCandidate[] {
  if (judged.length < 2) return judged;
  return judged.toSorted((one, other) => newestFirst(labelOf(one.candidate), labelOf(other.candidate), assignment));
}

/** Returns whether the certificate names a demanded entry that is newer than every candidate. */
function isOverruled({ assignment }: CertifiedRead, { user, judged }: Standing): boolean {
  const { demanded } = user;
  if (!demanded || !isOfArm(demanded, assignment)) return false;
  return judged.every(({ candidate }) => isOlder(labelOf(candidate), demanded));
}

function versionOf(answer: Answer | undefined): number {
  return answer?.predictedFromContextVersion ?? -1;
}

/**
 * Returns the lowest label that a live answer of this read may have. It excludes inferences from before an erasure,
 * even if another read made them.
 */
export function leastLabel({ touched, deletedVersion }: UserState, { minContext }: ReadOptions): number {
  return Math.max(touched, deletedVersion > 0 ? deletedVersion + 1 : 0, minContext?.version ?? 0);
}

/**
 * Returns whether to look for a better candidate in Postgres' rows: if no known candidate fits, if a demanded entry is
 * newer than the known ones, or if nothing may be inferred.
 */
export function isLacking(read: CertifiedRead, standing: Standing): boolean {
  const { options, predictor } = read;
  if (options.noCache) return false;
  if (isOverruled(read, standing)) return true;
  // If nothing may be inferred, only the rows can have a newer answer: Redis may have lost the entries of a partial
  // run.
  if (options.onlyIfCached || !predictor.policy.freshness.live) return true;
  return standing.judged.every(({ state }) => state === 'foreign');
}

/** Returns whether the live answer may replace a fresh prediction: later reads may then give no older one. */
export function isDemanded({ options }: CertifiedRead, { judged }: Standing): boolean {
  return options.noCache || judged.some(({ state }) => isFresh(state));
}

/** Returns why the stored candidates were not usable: the reason of the live answer. */
export function whyLive(read: CertifiedRead, standing: Standing): Reason {
  const { assignment, options } = read;
  const { judged } = standing;
  // If no store has the demanded entry any more, the fresh candidates are older than an answer that an earlier read gave.
  const isEntryLost = !options.noCache && isOverruled(read, standing);
  if (isDemanded(read, standing)) return isEntryLost ? 'missing' : 'requested';
  // An expired candidate has the user's current context, so the context is not the reason.
  if (judged.some(({ state }) => state === 'expired')) return 'expired';
  if (judged.some(({ state }) => state === 'stale')) return 'context_newer';
  const first = judged.find(({ state }) => state === 'foreign');
  const foreign = first && labelOf(first.candidate);
  if (foreign && foreign.modelVersionId !== assignment.modelVersionId) return 'version_changed';
  if (foreign && foreign.overlayFloor !== null && foreign.overlayFloor < assignment.overlayFloor) {
    return assignment.generation?.isOutdated ? 'context_newer' : 'rolled_back';
  }
  return assignment.generation === null && assignment.modelNumber > 1 ? 'version_changed' : 'missing';
}
