/**
 * Reads predictions: the stored prediction of a user while it is fresh, else a live one.
 *
 * The certificate (Postgres) and the candidates (Redis, or memory) are requested together. Users without a fresh
 * candidate are looked up in Postgres' rows, then inferred live; ladder.ts has the lower rungs. A read asks each store
 * once for all its users, and Redis once more for users whose prediction in memory was not usable. A read of many users
 * is several such reads (read-in-parts.ts).
 */

import type { ReadResult } from './answer.ts';
import { answerLive } from './answer-live.ts';
import { type ArmGroup, findOnline, groupByArm, guessOnline, isGuessed, joined, NO_CANDIDATES } from './candidates.ts';
import {
  type AssignedMoment,
  type Assignments,
  type Authority,
  type Certificate,
  isErased,
  isOvertaken,
} from './certificate.ts';
import { createDemandInference, type DemandedAnswers, type DemandInference, isDemand } from './demanded-inference.ts';
import { notCertified, unknownPredictor } from './errors.ts';
import type { LivePredictor } from './live-predictor.ts';
import { certifyAgain, type LostPast } from './lost-past.ts';
import { findRemembered, NO_MEMORY, type PredictionMemory, type Remembered } from './prediction-memory.ts';
import type { ModelVersion, Predictor } from './predictor.ts';
import { inParts } from './read-in-parts.ts';
import { type ReadOptions, type ReadTimes, since } from './read-options.ts';
import {
  asDemand,
  inOrder,
  NOTHING_REQUESTED,
  type Results,
  refuseIncomplete,
  requestedRows,
} from './requested-rows.ts';
import { type CertifiedRead, isLacking, type Standing, settle, standingOf } from './settle.ts';
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
  /** Receives pasts that a crash of Postgres has lost. */
  readonly lostPast: LostPast;
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
  return inParts((predictorName, userIds, options, times = {}) =>
    reader.read(predictorName, userIds, asDemand(options), times),
  );
}

/** The requests made before Postgres had answered. */
interface Guess {
  readonly known: LastKnown | undefined;
  readonly remembered: Remembered;
  readonly guessing: Candidates | Promise<Candidates | null>;
}

const NOTHING_REMEMBERED: Remembered = new Map();

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
    this.#unverified.notice(certificate, server);
    const assignments = notice(certificate);
    const predictor = await registry.predictor(predictorName);
    if (!predictor) throw unknownPredictor(predictorName);
    const results: Results = demanded?.answers ?? new Map();
    const { request } = options;
    const requested = request
      ? await requestedRows(registry, assignments, userIds, request, results)
      : NOTHING_REQUESTED;
    const left = results.size === 0 ? distinct : distinct.filter((userId) => !results.has(userId));
    const { rollout } = assignments;
    const certified = { predictor, rollout, certificate, options, requested, times };
    await this.#answerArms(certified, groupByArm(assignments, left), guess, results, demanded);
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

  #keep(predictorName: string, certificate: Certificate, assignments: Assignments | undefined): void {
    const { history, revision, withdrawals } = certificate;
    this.#stores.registry.noticeRevision(revision, history);
    if (revision !== this.#newest.revision || history !== this.#newest.history) this.#newest = { history, revision };
    const last = this.#lastKnown.get(predictorName);
    // A withdrawn predictor may not be served unverified either.
    if (!assignments) this.#lastKnown.delete(predictorName);
    else if (last?.assignments !== assignments || last.history !== history) {
      this.#lastKnown.set(predictorName, { assignments, history, withdrawals });
    }
  }

  #answerArms(
    certified: Omit<CertifiedRead, 'version' | 'assignment'>,
    groups: readonly ArmGroup[],
    guess: Guess,
    results: Results,
    demanded?: DemandedAnswers,
  ): Promise<unknown> | undefined {
    const answering = groups.map((group) => {
      const inferred = demanded?.failuresAt(group.assignment, certified.certificate.history);
      return this.#answerArm(inferred ? { ...certified, inferred } : certified, group, guess, results);
    });
    return answering.length === 1 ? answering[0] : Promise.all(answering);
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
    const doubted = unsettled.filter(({ isDoubted }) => isDoubted);
    const open = doubted.length === 0 ? unsettled : unsettled.filter(({ isDoubted }) => !isDoubted);
    if (open.length > 0) await answerLive(this.#stores, read, open, results);
    if (doubted.length > 0) await this.#answerDoubted(read, doubted, results);
  }

  /** Answers users with candidates ahead of the certificate, under a second certificate. */
  async #answerDoubted(read: CertifiedRead, doubted: readonly Standing[], results: Results): Promise<void> {
    const { predictor, certificate: first } = read;
    const before = this.#newest;
    const guessing = new Map(
      doubted.map(({ userId, judged }) => [
        userId,
        judged.flatMap(({ candidate }) => ('label' in candidate ? [] : [candidate])),
      ]),
    );
    const certificate = await certifyAgain(this.#stores, predictor.name, first, guessing);
    const assignments = this.#notice(predictor.name, certificate, before);
    const { history, withdrawals } = certificate;
    const guess = { known: { assignments, history, withdrawals }, remembered: NOTHING_REMEMBERED, guessing };
    const again = { ...read, certificate, isSecond: true, rollout: assignments.rollout };
    await this.#answerArms(again, groupByArm(assignments, [...guessing.keys()]), guess, results);
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
      const added = standingOf(read, standing.userId, more);
      const judged = [...standing.judged, ...added.judged];
      const fuller = { ...standing, judged, isDoubted: standing.isDoubted || added.isDoubted };
      return this.#settle(read, fuller, results) ? [] : [fuller];
    });
  }
}
