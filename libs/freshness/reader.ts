/**
 * Reads predictions: the stored one of a user while it is fresh, a live one where the user's context is fresher.
 *
 * The certificate (Postgres) and the candidates (Redis, or this process's memory) are asked for at the same time. Whoever
 * has no fresh candidate there is looked up in Postgres' rows, then inferred live; the ladder goes on from there in
 * ladder.ts. Each store is asked once for all the users of a read; Redis once more for those whose prediction in memory
 * turned out not to do.
 */

import type { ReadResult } from './answer.ts';
import { type ArmGroup, groupByArm } from './arm-groups.ts';
import type { Assignments, Authority, Certificate } from './certificate.ts';
import type { CertifiedRead, Standing } from './certified-read.ts';
import { createDemandInference } from './demanded-inference.ts';
import { findOnline, guessOnline, joined, NO_CANDIDATES } from './find-candidates.ts';
import { fallBack, type KnownPlace } from './ladder.ts';
import { predictWithin } from './limited-live.ts';
import type { LiveOutcome, LivePredictor } from './live-predictor.ts';
import { type HeldPredictions, NOTHING_HELD } from './prediction-memory.ts';
import type { ModelVersion, Predictor } from './predictor.ts';
import { notCached, notCertified, notFound, unknownPredictor } from './read-errors.ts';
import type { ReadOptions } from './read-options.ts';
import { type ReadTimes, since } from './read-times.ts';
import { isLacking, leastLabel, settle, standingOf, whyLive } from './settle.ts';
import { findHeld, type Held, hold, NOBODY_HELD, settleHeld } from './settle-held.ts';
import type { Candidates, OnlinePredictions, StoredPredictions } from './stored-prediction.ts';
import { createUnverifiedReads } from './unverified-read.ts';

/** Predictors and model versions as adopted in Postgres, kept in memory by revision. */
export interface Registry {
  /** What was loaded before a later revision is loaded again when it is next asked for. */
  noticeRevision(revision: number, history: string): void;
  predictor(name: string): Promise<Predictor | undefined>;
  modelVersion(id: string): Promise<ModelVersion>;
}

export interface PredictionReaderDependencies {
  readonly authority: Authority;
  readonly registry: Registry;
  readonly online: OnlinePredictions;
  readonly offline: StoredPredictions;
  readonly live: LivePredictor;
  /** Predictions that need not be asked for; none by default. */
  readonly memory?: HeldPredictions;
  /** Where what Postgres last said of each predictor is kept, for whoever else wants to know. */
  readonly places?: Map<string, KnownPlace>;
}

/** What was asked for before Postgres had answered. */
interface Guess {
  readonly known: KnownPlace | undefined;
  readonly held: Held;
  readonly guessing: Candidates | Promise<Candidates | null>;
}

const NOTHING_INFERRED: ReadonlyMap<string, LiveOutcome> = new Map();

export type PredictionReader = ReturnType<typeof createPredictionReader>;

export function createPredictionReader(dependencies: PredictionReaderDependencies) {
  const { authority, registry, online, offline, live, memory = NOTHING_HELD } = dependencies;
  // Only a guess of what Postgres assigns, to ask Redis for the likely generation before Postgres has answered.
  const { places: lastPlaces = new Map<string, KnownPlace>() } = dependencies;
  const unverified = createUnverifiedReads({ registry, online });
  const demand = createDemandInference({ registry, live, notice });

  /** The user ids must be canonical; duplicates share one answer. Into `times` it is written where the time went. */
  return async function read(
    predictorName: string,
    userIds: readonly string[],
    options: ReadOptions,
    times: ReadTimes = {},
  ): Promise<ReadResult[]> {
    const distinct = userIds.length === 1 ? userIds : [...new Set(userIds)];
    const known = lastPlaces.get(predictorName);
    const demanded = isDemand(options) ? await demand(known, predictorName, distinct, options, times) : undefined;
    if (demanded?.answers.size === distinct.length) return inOrder(userIds, demanded.answers);
    const held = options.noCache ? NOBODY_HELD : findHeld(memory, known?.assignments, distinct);
    const lacking = held.size === 0 ? distinct : distinct.filter((userId) => !held.has(userId));
    // Whom the model must answer anyway needs a stored prediction only where that fails.
    const guessing =
      options.noCache || lacking.length === 0 ? NO_CANDIDATES : guessOnline(online, known?.assignments, lacking);
    let certificate: Certificate;
    const server = online.serverId();
    const askedAt = performance.now();
    try {
      certificate = await authority.certify(distinct);
      times.certifyMs = since(askedAt);
    } catch (cause) {
      times.certifyMs = since(askedAt);
      const found = await findUncertified({ known, held, guessing });
      return unverified.answer({ predictorName, known, cause: notCertified(cause), options, found }, userIds);
    }
    const assignments = notice(predictorName, certificate);
    unverified.notice(certificate, server);
    const predictor = await registry.predictor(predictorName);
    if (!predictor) throw unknownPredictor(predictorName);
    const results = demanded?.answers ?? new Map<string, ReadResult>();
    const left = results.size === 0 ? distinct : distinct.filter((userId) => !results.has(userId));
    const { rollout } = assignments;
    const answering = groupByArm(assignments, left).map((group) => {
      const inferred = demanded?.failuresAt(group.assignment, certificate.history);
      const read = { predictor, rollout, certificate, options, inferred, times };
      return answerArm(read, group, { known, held, guessing }, results);
    });
    await (answering.length === 1 ? answering[0] : Promise.all(answering));
    return inOrder(userIds, results);
  };

  /** The users of one arm. */
  async function answerArm(
    certified: Omit<CertifiedRead, 'version' | 'assignment'>,
    { assignment, userIds }: ArmGroup,
    guess: Guess,
    results: Map<string, ReadResult>,
  ): Promise<void> {
    const version = await registry.modelVersion(assignment.modelVersionId);
    const read = { ...certified, version, assignment };
    if (guess.held.size > 0) settleHeld(memory, read, userIds, guess.held, results);
    const rest = userIds.filter((userId) => !results.has(userId));
    if (rest.length > 0) await answerAll(read, rest, await findRest(read, rest, guess), results);
  }

  /** What is in memory is not offered: an erasure takes what nobody certifies out of Redis, and only there. */
  async function findUncertified({ known, held, guessing }: Guess): Promise<Candidates | null> {
    if (held.size === 0) return guessing;
    return joined(await Promise.all([guessing, guessOnline(online, known?.assignments, [...held.keys()])]));
  }

  /** Of those whom memory did not answer. */
  async function findRest({ assignment }: CertifiedRead, rest: readonly string[], { known, held, guessing }: Guess) {
    const isGuessed = (userId: string) => known?.assignments.of(userId).generation?.id === assignment.generation?.id;
    if (!known || !rest.every(isGuessed)) return findOnline(online, assignment, rest);
    const unfit = rest.filter((userId) => held.has(userId));
    if (unfit.length === 0) return guessing;
    return joined(await Promise.all([guessing, findOnline(online, assignment, unfit)]));
  }

  /** Learns where the predictor's answers are now to be found. Throws `unknown_predictor` where it was withdrawn. */
  function notice(predictorName: string, certificate: Certificate): Assignments {
    registry.noticeRevision(certificate.revision, certificate.history);
    const assignments = certificate.assignments(predictorName);
    if (!assignments) {
      // Nothing of it may be served unverified either.
      lastPlaces.delete(predictorName);
      throw unknownPredictor(predictorName);
    }
    const last = lastPlaces.get(predictorName);
    if (last?.assignments !== assignments || last.history !== certificate.history) {
      lastPlaces.set(predictorName, { assignments, history: certificate.history });
    }
    return assignments;
  }

  async function answerAll(
    read: CertifiedRead,
    userIds: readonly string[],
    found: Candidates | null,
    results: Map<string, ReadResult>,
  ): Promise<void> {
    const pending: Standing[] = [];
    for (const userId of userIds) {
      const standing = standingOf(read, userId, found?.get(userId) ?? []);
      const result = settle(read, standing);
      if (result) keep(standing, result, results);
      else pending.push(standing);
    }
    if (pending.length === 0) return;
    const unsettled = await settleFromRows(read, pending, results);
    if (unsettled.length > 0) await answerLive(read, unsettled, results);
  }

  function keep(standing: Standing, result: ReadResult, results: Map<string, ReadResult>): void {
    results.set(standing.userId, hold(memory, standing, result));
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
      if (result) keep(fuller, result, results);
      return result ? [] : [fuller];
    });
  }

  async function answerLive(read: CertifiedRead, standings: readonly Standing[], results: Map<string, ReadResult>) {
    if (read.options.onlyIfCached) {
      for (const standing of standings) results.set(standing.userId, notCached(standing.userId));
      return;
    }
    const askedAt = performance.now();
    const outcomes = await infer(read, standings);
    if (read.times) read.times.liveMs = since(askedAt);
    for (const standing of await withCandidates(read, standings, outcomes)) {
      const outcome = outcomes.get(standing.userId);
      results.set(standing.userId, fallBack(read, standing, whyLive(read, standing), outcome));
    }
  }

  async function infer(read: CertifiedRead, standings: readonly Standing[]): Promise<ReadonlyMap<string, LiveOutcome>> {
    const { predictor, version, assignment, certificate, options, inferred = NOTHING_INFERRED } = read;
    const left = inferred.size === 0 ? standings : standings.filter(({ userId }) => !inferred.has(userId));
    if (left.length === 0) return inferred;
    const request = {
      version,
      assignment,
      history: certificate.history,
      timeoutMs: predictor.policy.freshness.liveTimeoutMs,
      enabled: predictor.policy.freshness.live,
      readers: left.map(({ userId, user }) => ({
        userId,
        minVersion: leastLabel(user, options),
        fresh: options.noCache,
      })),
    };
    const outcomes = await predictWithin(live, request, options.liveQuota);
    return inferred.size === 0 ? outcomes : new Map([...inferred, ...outcomes]);
  }

  /** Of a demanded inference that failed, the stored predictions, which nobody has asked for yet. */
  async function withCandidates(
    { assignment, options, predictor }: CertifiedRead,
    standings: readonly Standing[],
    outcomes: ReadonlyMap<string, LiveOutcome>,
  ): Promise<readonly Standing[]> {
    const mayServe = options.noCache && predictor.policy.freshness.onLiveFailure === 'stale';
    const failed = mayServe ? standings.filter(({ userId }) => isLost(outcomes.get(userId))) : [];
    if (failed.length === 0) return standings;
    const userIds = failed.map(({ userId }) => userId);
    const found = await findOnline(online, assignment, userIds);
    return standings.map((standing) => ({
      ...standing,
      candidates: found?.get(standing.userId) ?? standing.candidates,
    }));
  }
}

/** A caller who names a context is told first whether there is such a one. */
function isDemand({ noCache, onlyIfCached, minContext }: ReadOptions): boolean {
  return noCache && !onlyIfCached && minContext === null;
}

function inOrder(userIds: readonly string[], results: ReadonlyMap<string, ReadResult>): ReadResult[] {
  return userIds.map((userId) => results.get(userId) ?? notFound(userId));
}

/** Whether live inference gave nothing that ends the read: a rung below may answer. */
function isLost(outcome: LiveOutcome | undefined): boolean {
  return outcome?.kind !== 'predicted' && outcome?.kind !== 'erased';
}
