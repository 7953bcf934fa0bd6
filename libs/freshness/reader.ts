/**
 * Reads predictions: the stored prediction of a user while it is fresh, else a live one.
 *
 * The certificate (Postgres) and the candidates (Redis, or memory) are requested together. Users without a fresh
 * candidate are looked up in Postgres' rows, then inferred live; ladder.ts has the lower rungs. A read asks each store
 * once for all its users, and Redis once more for users whose prediction in memory was not usable.
 */
import type { ReadResult } from './answer.ts';
import { type ArmGroup, findOnline, groupByArm, guessOnline, isGuessed, joined, NO_CANDIDATES } from './candidates.ts';
import {
  type AssignedMoment,
  type Assignments,
  type Authority,
  type Certificate,
  isErased,
  isOvertaken,
} from './certificate.ts';
import { createDemandInference, type DemandInference, isDemand } from './demanded-inference.ts';
import { notCached, notCertified, unknownPredictor } from './errors.ts';
import { answersOf, failureRung } from './ladder.ts';
import { isInferred, isLost, type LiveOutcome, type LivePredictor, predictWithin } from './live-predictor.ts';
import { findRemembered, NO_MEMORY, type PredictionMemory, type Remembered } from './prediction-memory.ts';
import type { ModelVersion, Predictor } from './predictor.ts';
import { type ReadOptions, type ReadTimes, since } from './read-options.ts';
import {
  asDemand,
  inOrder,
  NOTHING_REQUESTED,
  type Results,
  refuseIncomplete,
  requestedRows,
} from './requested-rows.ts';
import { type CertifiedRead, isLacking, leastLabel, type Standing, settle, standingOf, whyLive } from './settle.ts';
import type { Candidates, OnlinePredictions, StoredPredictions } from './stored-prediction.ts';
import { createUnverifiedReads, type LastKnown, type UnverifiedReads } from './unverified-read.ts';

/** The adopted predictors and model versions, read from Postgres and kept in memory by revision. */
export interface Registry {
  /** Records a newer revision: entries that were loaded earlier are loaded again at the next request. */
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
  /** Remembered predictions, which need no request; none by default. */
  readonly memory?: PredictionMemory;
  /** The last known assignment of each predictor, by name: a guess, shared with other readers. */
  readonly lastKnown?: Map<string, LastKnown>;
}

/**
 * Reads users of one predictor. The user ids must be canonical; duplicates share one answer.
 * @param times receives the durations of the read's parts
 */
export type PredictionReader = (
  predictorName: string,
  userIds: readonly string[],
  options: ReadOptions,
  times?: ReadTimes,
) => Promise<ReadResult[]>;

export function createPredictionReader(dependencies: PredictionReaderDependencies): PredictionReader {
  const reader = new Reader(dependencies);
  return (predictorName, userIds, options, times = {}) => reader.read(predictorName, userIds, asDemand(options), times);
}

/** The requests made before Postgres had answered. */
interface Guess {
  readonly known: LastKnown | undefined;
  readonly remembered: Remembered;
  readonly guessing: Candidates | Promise<Candidates | null>;
}

const NOTHING_REMEMBERED: Remembered = new Map();
const NOTHING_INFERRED: ReadonlyMap<string, LiveOutcome> = new Map();

class Reader {
  readonly #stores: PredictionReaderDependencies;
  readonly #memory: PredictionMemory;
  readonly #lastKnown: Map<string, LastKnown>;
  readonly #unverified: UnverifiedReads;
  readonly #demand: DemandInference;
  /** The newest position of the certificates that this reader has noticed. */
  #newest: AssignedMoment = { history: '', revision: -1 };

  constructor(dependencies: PredictionReaderDependencies) {
    const { registry, online, live, memory = NO_MEMORY, lastKnown = new Map() } = dependencies;
    this.#stores = dependencies;
    this.#memory = memory;
    this.#lastKnown = lastKnown;
    this.#unverified = createUnverifiedReads({ registry, online });
    this.#demand = createDemandInference({ registry, live });
  }

  async read(predictorName: string, userIds: readonly string[], options: ReadOptions, times: ReadTimes) {
    const { authority, registry, online } = this.#stores;
    const distinct = userIds.length === 1 ? userIds : [...new Set(userIds)];
    const known = this.#lastKnown.get(predictorName);
    const before = this.#newest;
    const demand = { known, predictorName, userIds: distinct, calledFor: userIds, options, times };
    const notice = (certificate: Certificate) => this.#notice(predictorName, certificate, before);
    const demanded = isDemand(options) ? await this.#demand(demand, notice) : undefined;
    if (demanded?.answers.size === distinct.length) return inOrder(userIds, demanded.answers);
    const guess = this.#guess(known, distinct, options);
    let certificate: Certificate;
    const server = online.serverId();
    const askedAt = performance.now();
    try {
      certificate = await authority.certify(distinct, predictorName);
      times.certifyMs = since(askedAt);
    } catch (cause) {
      times.certifyMs = since(askedAt);
      const found = await this.#findUncertified(guess);
      return this.#unverified.answer({ predictorName, known, cause: notCertified(cause), options, found }, userIds);
    }
    const assignments = notice(certificate);
    this.#unverified.notice(certificate, server);
    const predictor = await registry.predictor(predictorName);
    if (!predictor) throw unknownPredictor(predictorName);
    const results: Results = demanded?.answers ?? new Map();
    const { request } = options;
    const requested = request
      ? await requestedRows(registry, assignments, userIds, request, results)
      : NOTHING_REQUESTED;
    const left = results.size === 0 ? distinct : distinct.filter((userId) => !results.has(userId));
    const { rollout } = assignments;
    const groups = groupByArm(assignments, left);
    const answering = groups.map((group) => {
      const inferred = demanded?.failuresAt(group.assignment, certificate.history);
      const read = { predictor, rollout, certificate, options, inferred, requested, times };
      return this.#answerArm(read, group, guess, results);
    });
    await (answering.length === 1 ? answering[0] : Promise.all(answering));
    return inOrder(userIds, results);
  }

  /** Requests candidates, unless the caller demands an inference: a stored prediction is then only the fallback. */
  #guess(known: LastKnown | undefined, userIds: readonly string[], { noCache }: ReadOptions): Guess {
    if (noCache) return { known, remembered: NOTHING_REMEMBERED, guessing: NO_CANDIDATES };
    const remembered = findRemembered(this.#memory, known?.assignments, userIds);
    const lacking = remembered.size === 0 ? userIds : userIds.filter((userId) => !remembered.has(userId));
    const { online } = this.#stores;
    const guessing = lacking.length === 0 ? NO_CANDIDATES : guessOnline(online, known?.assignments, lacking);
    return { known, remembered, guessing };
  }

  /** Finds candidates in Redis, not in memory: without a certificate, only the deletes in Redis reveal an erasure. */
  async #findUncertified({ known, remembered, guessing }: Guess): Promise<Candidates | null> {
    if (remembered.size === 0) return guessing;
    const { online } = this.#stores;
    return joined(await Promise.all([guessing, guessOnline(online, known?.assignments, [...remembered.keys()])]));
  }

  /** Records a certificate, and returns its assignments. Throws `unknown_predictor` for a withdrawn predictor. */
  #notice(predictorName: string, certificate: Certificate, before: AssignedMoment): Assignments {
    const assignments = certificate.assignments(predictorName);
    if (!isOvertaken(certificate, before, this.#newest)) this.#keep(predictorName, certificate, assignments);
    if (!assignments) throw unknownPredictor(predictorName);
    return assignments;
  }

  #keep(predictorName: string, { history, revision }: Certificate, assignments: Assignments | undefined): void {
    this.#stores.registry.noticeRevision(revision, history);
    if (revision !== this.#newest.revision || history !== this.#newest.history) this.#newest = { history, revision };
    const last = this.#lastKnown.get(predictorName);
    // A withdrawn predictor may not be served unverified either.
    if (!assignments) this.#lastKnown.delete(predictorName);
    else if (last?.assignments !== assignments || last.history !== history) {
      this.#lastKnown.set(predictorName, { assignments, history });
    }
  }

  /** Answers the users of one arm: from memory, from Redis, from Postgres' rows, live. */
  async #answerArm(
    certified: Omit<CertifiedRead, 'version' | 'assignment'>,
    { assignment, userIds }: ArmGroup,
    guess: Guess,
    results: Results,
  ): Promise<void> {
    const version = await this.#stores.registry.modelVersion(assignment.modelVersionId);
    if (refuseIncomplete(version, certified.options, userIds, results)) return;
    const read: CertifiedRead = { ...certified, version, assignment };
    const rest = guess.remembered.size === 0 ? userIds : this.#settleRemembered(read, userIds, guess, results);
    if (rest.length === 0) return;
    const found = await this.#findRest(read, rest, guess);
    const standings = rest.map((userId) => standingOf(read, userId, found?.get(userId) ?? []));
    const pending = standings.filter((standing) => !this.#settle(read, standing, results));
    if (pending.length === 0) return;
    const unsettled = await this.#settleFromRows(read, pending, results);
    if (unsettled.length > 0) await this.#answerLive(read, unsettled, results);
  }

  // Redis may have a fresh overlay entry beside a stale answer in memory, and a newer row if the guess was wrong.
  /** Answers users from memory, and returns the users that memory could not answer. */
  #settleRemembered(read: CertifiedRead, userIds: readonly string[], { known, remembered }: Guess, results: Results) {
    return userIds.filter((userId) => {
      const candidate = remembered.get(userId);
      if (!candidate) return true;
      const standing = standingOf(
        read,
        userId,
        isGuessed(known?.assignments, read.assignment, userId) ? [candidate] : [],
      );
      if (isErased(standing.user)) this.#memory.forgetUser(userId);
      const result = settle(read, standing, this.#memory);
      if (!result || ('source' in result && result.source === 'stale')) return true;
      results.set(userId, result);
      return false;
    });
  }

  /** Finds the candidates of users that memory could not answer. */
  async #findRest({ assignment }: CertifiedRead, rest: readonly string[], { known, remembered, guessing }: Guess) {
    const { online } = this.#stores;
    if (!rest.every((userId) => isGuessed(known?.assignments, assignment, userId)))
      return findOnline(online, assignment, rest);
    const unfit = rest.filter((userId) => remembered.has(userId));
    if (unfit.length === 0) return guessing;
    return joined(await Promise.all([guessing, findOnline(online, assignment, unfit)]));
  }

  #settle(read: CertifiedRead, standing: Standing, results: Results): boolean {
    const result = settle(read, standing, this.#memory);
    if (result) results.set(standing.userId, result);
    return result !== undefined;
  }

  /**
   * Looks up Postgres' rows, which may have predictions that Redis lacks or does not return. Returns the standings that
   * are still open.
   */
  async #settleFromRows(read: CertifiedRead, pending: readonly Standing[], results: Results) {
    const lacking = pending.filter((standing) => isLacking(read, standing)).map((standing) => standing.userId);
    if (lacking.length === 0) return pending;
    const rows = await this.#stores.offline.find(read.assignment, lacking).catch(() => null);
    return pending.flatMap((standing) => {
      const more = rows?.get(standing.userId);
      if (!more) return [standing];
      const { userId, user, judged } = standing;
      const fuller = { userId, user, judged: [...judged, ...standingOf(read, userId, more).judged] };
      return this.#settle(read, fuller, results) ? [] : [fuller];
    });
  }

  async #answerLive(read: CertifiedRead, standings: readonly Standing[], results: Results): Promise<void> {
    if (read.options.onlyIfCached) {
      for (const standing of standings) results.set(standing.userId, notCached(standing.userId, read.options));
      return;
    }
    const askedAt = performance.now();
    const outcomes = await this.#infer(read, standings);
    if (read.times) read.times.liveMs = since(askedAt);
    for (const standing of await this.#withCandidates(read, standings, outcomes)) {
      const outcome = outcomes.get(standing.userId);
      results.set(standing.userId, answersOf(read, standing, whyLive(read, standing), outcome));
    }
  }

  async #infer(read: CertifiedRead, standings: readonly Standing[]): Promise<ReadonlyMap<string, LiveOutcome>> {
    const { predictor, version, assignment, certificate, options, requested, inferred = NOTHING_INFERRED } = read;
    const { liveTimeoutMs, live: enabled } = predictor.policy.freshness;
    const isOpen = ({ userId, user }: Standing) => !isInferred(inferred.get(userId), leastLabel(user, options));
    const left = inferred.size === 0 ? standings : standings.filter(isOpen);
    if (left.length === 0) return inferred;
    const readers = left.map(({ userId, user }) => ({
      userId,
      minVersion: leastLabel(user, options),
      fresh: options.noCache,
      rows: requested.get(userId),
    }));
    const { history } = certificate;
    const request = { version, assignment, history, timeoutMs: liveTimeoutMs, enabled, readers };
    const outcomes = await predictWithin(this.#stores.live, request, options);
    return inferred.size === 0 ? outcomes : new Map([...inferred, ...outcomes]);
  }

  /** Looks up stored predictions after a failed demanded inference: such a read did not request them before. */
  async #withCandidates(
    read: CertifiedRead,
    standings: readonly Standing[],
    outcomes: ReadonlyMap<string, LiveOutcome>,
  ): Promise<readonly Standing[]> {
    const { assignment, options } = read;
    const mayServe = options.noCache && failureRung(read) === 'stale';
    const failed = mayServe ? standings.filter(({ userId }) => isLost(outcomes.get(userId))) : [];
    if (failed.length === 0) return standings;
    const userIds = failed.map(({ userId }) => userId);
    const found = await findOnline(this.#stores.online, assignment, userIds);
    return standings.map((standing) => {
      const candidates = found?.get(standing.userId);
      return candidates ? standingOf(read, standing.userId, candidates) : standing;
    });
  }
}
