/**
 * Reads predictions: the stored one of a user while it is fresh, a live one where the user's context is fresher.
 *
 * The certificate (Postgres) and the candidates (Redis) are asked for at the same time. Whoever has no fresh candidate
 * there is looked up in Postgres' rows, then inferred live; the ladder goes on from there in ladder.ts. Each store is
 * asked once for all the users of a read.
 */
import { type Answer, type ReadResult, type Reason, storedAnswer } from './answer.ts';
import { type Assignment, type Authority, isErased, type UserState } from './certificate.ts';
import type { CertifiedRead, Standing } from './certified-read.ts';
import { TandemError } from './errors.ts';
import { isFresh, judge, serviceOf } from './freshness.ts';
import { fallBack, type KnownPlace, unverifiedAnswer } from './ladder.ts';
import type { LivePredictor } from './live-prediction.ts';
import type { ModelVersion, Predictor } from './predictor.ts';
import { notCached, notCertified, notFound, unknownPredictor, unreachableContext } from './read-errors.ts';
import type { ReadOptions } from './read-options.ts';
import type { Candidates, OnlinePredictions, StoredPrediction, StoredPredictions } from './stored-prediction.ts';

/** Predictors and model versions as adopted in Postgres, kept in memory by revision. */
export interface Registry {
  /** What was loaded before a later revision is loaded again when it is next asked for. */
  noticeRevision(revision: number): void;
  predictor(name: string): Promise<Predictor | undefined>;
  modelVersion(id: string): Promise<ModelVersion>;
}

export interface PredictionReaderDependencies {
  readonly authority: Authority;
  readonly registry: Registry;
  readonly online: OnlinePredictions;
  readonly offline: StoredPredictions;
  readonly live: LivePredictor;
}

/** A read that Postgres did not answer. */
interface UnverifiedRead {
  readonly predictorName: string;
  /** What it said when it last answered. */
  readonly known: KnownPlace | undefined;
  readonly cause: TandemError;
  readonly options: ReadOptions;
}

export type PredictionReader = ReturnType<typeof createPredictionReader>;

export function createPredictionReader(dependencies: PredictionReaderDependencies) {
  const { authority, registry, online, offline, live } = dependencies;
  // Only a guess of what Postgres assigns, to ask Redis for the likely generation before Postgres has answered.
  const lastPlaces = new Map<string, KnownPlace>();
  let verifiedServerId: string | null = null;

  async function findOnline(
    assignment: Assignment | undefined,
    userIds: readonly string[],
  ): Promise<Candidates | null> {
    if (!assignment) return null;
    return online.find(assignment, userIds).catch(() => null);
  }

  /** The user ids must be canonical; duplicates share one answer. */
  return async function read(
    predictorName: string,
    userIds: readonly string[],
    options: ReadOptions,
  ): Promise<ReadResult[]> {
    const distinct = userIds.length === 1 ? userIds : [...new Set(userIds)];
    const known = lastPlaces.get(predictorName);
    const [certificate, guessed] = await Promise.all([
      authority.certify(distinct).catch((cause: unknown) => notCertified(cause)),
      findOnline(known?.assignment, distinct),
    ]);
    if (certificate instanceof TandemError) {
      return answerUnverified({ predictorName, known, cause: certificate, options }, userIds, guessed);
    }
    registry.noticeRevision(certificate.revision);
    const assignment = certificate.assignment(predictorName);
    if (!assignment) {
      // Withdrawn: nothing of it may be served unverified either.
      lastPlaces.delete(predictorName);
      throw unknownPredictor(predictorName);
    }
    lastPlaces.set(predictorName, { assignment, history: certificate.history });
    verifiedServerId = online.serverId();
    const [found, predictor, version] = await Promise.all([
      samePlace(known?.assignment, assignment) ? guessed : findOnline(assignment, distinct),
      registry.predictor(predictorName),
      registry.modelVersion(assignment.modelVersionId),
    ]);
    if (!predictor) throw unknownPredictor(predictorName);
    const results = await answerAll({ predictor, version, assignment, certificate, options }, distinct, found);
    return userIds.map((userId) => results.get(userId) ?? notFound(userId));
  };

  async function answerAll(read: CertifiedRead, userIds: readonly string[], found: Candidates | null) {
    const results = new Map<string, ReadResult>();
    const pending: Standing[] = [];
    for (const userId of userIds) {
      const standing = standingOf(read, userId, found?.get(userId) ?? []);
      const result = settle(read, standing);
      if (result) results.set(userId, result);
      else pending.push(standing);
    }
    if (pending.length === 0) return results;
    const unsettled = await settleFromRows(read, pending, results);
    if (unsettled.length > 0) await answerLive(read, unsettled, results);
    return results;
  }

  /** Redis lacks (or does not answer with) what Postgres' rows may still have. */
  async function settleFromRows(read: CertifiedRead, pending: readonly Standing[], results: Map<string, ReadResult>) {
    const lacking = pending.filter((standing) => isLacking(read, standing)).map((standing) => standing.userId);
    if (lacking.length === 0) return pending;
    const rows = await offline.find(read.assignment, lacking).catch(() => null);
    return pending.flatMap((standing) => {
      const more = rows?.get(standing.userId);
      if (!more) return [standing];
      const fuller = { ...standing, candidates: [...standing.candidates, ...more] };
      const result = settle(read, fuller);
      if (result) results.set(standing.userId, result);
      return result ? [] : [fuller];
    });
  }

  async function answerLive(read: CertifiedRead, standings: readonly Standing[], results: Map<string, ReadResult>) {
    const { predictor, version, assignment, certificate, options } = read;
    if (options.onlyIfCached) {
      for (const standing of standings) results.set(standing.userId, notCached(standing.userId));
      return;
    }
    const outcomes = await live.predict({
      version,
      assignment,
      history: certificate.history,
      timeoutMs: predictor.policy.freshness.liveTimeoutMs,
      enabled: predictor.policy.freshness.live,
      readers: standings.map(({ userId, user }) => ({
        userId,
        minVersion: leastLabel(user, options),
        fresh: options.noCache,
      })),
    });
    for (const standing of standings) {
      const outcome = outcomes.get(standing.userId);
      results.set(standing.userId, fallBack(read, standing, whyLive(read, standing), outcome));
    }
  }

  async function answerUnverified(
    read: UnverifiedRead,
    userIds: readonly string[],
    found: Candidates | null,
  ): Promise<ReadResult[]> {
    const { predictorName, known, cause, options } = read;
    const refuse = () => userIds.map(() => cause);
    // A Redis that restarted or failed over since may lack tombstones: only the server last seen beside Postgres counts.
    const isKnownServer = online.serverId() !== null && online.serverId() === verifiedServerId;
    if (!known || !found || !isKnownServer || isBeyondUnverified(options)) return refuse();
    try {
      const [predictor, version] = await Promise.all([
        registry.predictor(predictorName),
        registry.modelVersion(known.assignment.modelVersionId),
      ]);
      if (!predictor?.policy.freshness.unverified) return refuse();
      return userIds.map((userId) => unverifiedAnswer(userId, version, known, found.get(userId) ?? []) ?? cause);
    } catch {
      // What is not in memory cannot be loaded while Postgres does not answer.
      return refuse();
    }
  }
}

/** Whether the caller demands what only Postgres can vouch for: a context, an inference, an age by its clock. */
function isBeyondUnverified({ minContext, noCache, maxAge }: ReadOptions): boolean {
  return minContext !== null || noCache || maxAge !== null;
}

function standingOf(read: CertifiedRead, userId: string, candidates: readonly StoredPrediction[]): Standing {
  return { userId, user: read.certificate.user(userId, read.predictor.name), candidates };
}

/** The answer where stored candidates suffice, an error where none can, else undefined. */
function settle(read: CertifiedRead, standing: Standing): ReadResult | undefined {
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
function leastLabel({ touched, deletedVersion }: UserState, { minContext }: ReadOptions): number {
  return Math.max(touched, deletedVersion > 0 ? deletedVersion + 1 : 0, minContext?.version ?? 0);
}

/** Whether Postgres' rows may know more than the candidates at hand: no candidate fits at all. */
function isLacking(read: CertifiedRead, standing: Standing): boolean {
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
  if (foreign && foreign.overlayFloor !== null && foreign.overlayFloor < assignment.overlayFloor) return 'rolled_back';
  return assignment.generation === null && assignment.modelNumber > 1 ? 'version_changed' : 'missing';
}

function samePlace(guess: Assignment | undefined, assignment: Assignment): boolean {
  return guess?.generation?.id === assignment.generation?.id && guess !== undefined;
}
