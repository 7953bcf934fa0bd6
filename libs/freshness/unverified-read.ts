/**
 * Answers reads that Postgres did not certify, from the candidates in Redis that fit the last known assignment. Such an
 * answer is never called fresh.
 *
 * Erased users are excluded by the tombstones that this process knows. The count of erasures proves that it knows all
 * of them. Redis receives the count before an erasure is acknowledged. So the Redis server of the last certificate must
 * still have the count of that certificate. A server proves nothing if it restarted, failed over, lost the count, or
 * received an erasure that this process does not know. Entries of a protocol that this release does not know are
 * ignored as well.
 *
 * Likewise, that server must have the count of withdrawals that this process read with the assignment. Redis receives it
 * before a rollback, an abort or another withdrawal is acknowledged. So no withdrawn generation or arm is served.
 */

import { type Answer, originOf, predictionOf, type ReadResult, wholeSeconds } from './answer.ts';
import type { Assignments, Certificate, ToldCount, Tombstones } from './certificate.ts';
import type { TandemError } from './errors.ts';
import { fits, newestFirst } from './judge.ts';
import type { ModelVersion } from './predictor.ts';
import type { ReadOptions } from './read-options.ts';
import type { Registry } from './reader.ts';
import type { Candidates, OnlinePredictions, StoredPrediction } from './stored-prediction.ts';

/** The last assignment of a predictor from Postgres: a guess of the current one. */
export interface LastKnown {
  readonly assignments: Assignments;
  readonly history: string;
  /** The number of withdrawals when these assignments were read. */
  readonly withdrawals: number;
}

interface UnverifiedRead {
  readonly predictorName: string;
  /** The last certificate's assignments. */
  readonly known: LastKnown | undefined;
  readonly cause: TandemError;
  readonly options: ReadOptions;
  /** The candidates found in Redis since the read arrived; null if it did not answer. */
  readonly found: Candidates | null;
}

export interface UnverifiedReads {
  /**
   * Records the facts of a certificate, in case Postgres does not answer after it.
   * @param server the Redis server before the certificate was requested. A server that appears later may hold an old
   * copy that still counts the erasures of the certificate but lacks a later one
   */
  notice(certificate: Certificate, server: string | null): void;
  answer(read: UnverifiedRead, userIds: readonly string[]): Promise<ReadResult[]>;
}

interface UnverifiedDependencies {
  readonly registry: Pick<Registry, 'predictor' | 'modelVersion'>;
  readonly online: Pick<OnlinePredictions, 'toldOfErasures' | 'toldOfWithdrawals'>;
}

export function createUnverifiedReads({ registry, online }: UnverifiedDependencies): UnverifiedReads {
  let serverId: string | null = null;
  let heard: Tombstones | null = null;
  /** The highest count of withdrawals of the history in the last certificate. */
  let withdrawn = { history: '', count: 0 };

  /** Returns the known tombstones if their count equals the count in Redis; else null. */
  function whole(told: ToldCount | null): Tombstones | null {
    if (heard === null || told === null || told.serverId !== serverId) return null;
    return told.history === heard.history && told.count === heard.count ? heard : null;
  }

  /**
   * Returns whether nothing was withdrawn since these assignments were read. The last certificate, of any predictor, must
   * agree: the server was seen with that certificate, and may have an older count than these assignments.
   */
  function isInForce({ history, withdrawals }: LastKnown, told: ToldCount | null): boolean {
    if (history !== withdrawn.history || withdrawals !== withdrawn.count || told?.serverId !== serverId) return false;
    return told.history === history && told.count === withdrawals;
  }

  return {
    notice({ tombstones, history, withdrawals }, server) {
      if (tombstones === null) return;
      serverId = server;
      // Certificates can overtake each other.
      const known = history === withdrawn.history ? withdrawn.count : 0;
      withdrawn = { history, count: Math.max(known, withdrawals) };
      heard = tombstones;
    },
    async answer({ predictorName, known, cause, options, found }, userIds) {
      const refuse = () => userIds.map(() => cause);
      // Facts recorded under another protocol prove nothing, even if Postgres becomes unreachable later.
      if (cause.code === 'protocol_unknown') heard = null;
      if (!known || !found || isBeyondUnverified(options) || heard === null) return refuse();
      // The counts are read after the candidates, so that they include everything from before this read arrived.
      const counts = [online.toldOfErasures(), online.toldOfWithdrawals()] as const;
      const [erasures, withdrawals] = await Promise.all(counts).catch(() => [null, null] as const);
      const tombstones = whole(erasures);
      if (!tombstones || !isInForce(known, withdrawals)) return refuse();
      try {
        const predictor = await registry.predictor(predictorName);
        if (!predictor?.policy.freshness.unverified) return refuse();
        const answers = userIds.map(async (userId) => {
          const version = await registry.modelVersion(known.assignments.of(userId).modelVersionId);
          const candidates = aboveTombstone(found.get(userId), tombstones.deletedVersion(userId));
          return unverifiedAnswer(userId, version, known, candidates) ?? cause;
        });
        return await Promise.all(answers);
      } catch {
        // A version that is not in memory cannot be loaded while Postgres does not answer.
        return refuse();
      }
    },
  };
}

function aboveTombstone(candidates: readonly StoredPrediction[] = [], deletedVersion: number) {
  if (deletedVersion === 0) return candidates;
  return candidates.filter(({ contextVersion }) => contextVersion > deletedVersion);
}

/**
 * Returns whether the caller demands facts that only Postgres can certify: a context, an inference, or an age on
 * Postgres' clock.
 */
function isBeyondUnverified({ minContext, noCache, maxAge }: ReadOptions): boolean {
  return minContext !== null || noCache || maxAge !== null;
}

/** Returns the newest stored answer that fits the last known assignment; it is never called fresh. */
export function unverifiedAnswer(
  userId: string,
  version: ModelVersion,
  { assignments, history }: LastKnown,
  candidates: readonly StoredPrediction[],
): Answer | undefined {
  const assignment = assignments.of(userId);
  const ours = candidates.filter((candidate) => fits(candidate, assignment, history));
  const [best] = ours.toSorted((one, other) => newestFirst(one, other, assignment));
  const prediction = best && predictionOf(version, best);
  if (!best || !prediction) return undefined;
  return {
    ...originOf(userId, { assignment, rollout: assignments.rollout }, best),
    prediction,
    source: 'stale',
    reason: 'unverified',
    ageSeconds: wholeSeconds(Date.now() - best.computedAt),
    contextVersion: null,
    lastConcerningVersion: null,
    history: null,
    hit: true,
    kept: false,
    forwarded: 'unverified',
  };
}
