/**
 * What a read answers that Postgres did not certify: what Redis has and what fits what Postgres last said, never called
 * fresh. Erased users are kept out by what this process has heard of tombstones; that it has heard of all of them it knows
 * by their count, which Redis was told before any erasure was acknowledged: by the same server, and the same count as
 * Postgres last said. A server that restarted, failed over, lost the count, or was told of an erasure that this process has
 * not heard of, vouches for nothing. Nor does what is stored under a protocol that this release does not know.
 */

import { type Answer, originOf, predictionOf, type ReadResult, wholeSeconds } from './answer.ts';
import type { Assignments, Certificate, ToldOfErasures, Tombstones } from './certificate.ts';
import type { TandemError } from './errors.ts';
import { fits } from './judge.ts';
import type { ModelVersion } from './predictor.ts';
import type { ReadOptions } from './read-options.ts';
import type { Registry } from './reader.ts';
import type { Candidates, OnlinePredictions, StoredPrediction } from './stored-prediction.ts';

/** What Postgres last said of a predictor: a guess of what it assigns now. */
export interface LastKnown {
  readonly assignments: Assignments;
  readonly history: string;
}

interface UnverifiedRead {
  readonly predictorName: string;
  /** What Postgres said when it last answered. */
  readonly known: LastKnown | undefined;
  readonly cause: TandemError;
  readonly options: ReadOptions;
  /** Found in Redis since the read arrived; null where it did not answer. */
  readonly found: Candidates | null;
}

export interface UnverifiedReads {
  /**
   * Learns from a certificate what to go by, should it be the last.
   * @param server that Redis was before the certificate was asked for: one seen later may have returned with a copy of
   * that moment, after an erasure that the certificate does not know of
   */
  notice(certificate: Certificate, server: string | null): void;
  answer(read: UnverifiedRead, userIds: readonly string[]): Promise<ReadResult[]>;
}

interface UnverifiedDependencies {
  readonly registry: Pick<Registry, 'predictor' | 'modelVersion'>;
  readonly online: Pick<OnlinePredictions, 'toldOfErasures'>;
}

export function createUnverifiedReads({ registry, online }: UnverifiedDependencies): UnverifiedReads {
  let serverId: string | null = null;
  let heard: Tombstones | null = null;

  /** What was heard of tombstones, if that is all there are as far as Redis was told; else null. */
  function whole(told: ToldOfErasures | null): Tombstones | null {
    if (heard === null || told === null || told.serverId !== serverId) return null;
    return told.history === heard.history && told.count === heard.count ? heard : null;
  }

  return {
    notice({ tombstones }, server) {
      if (tombstones === null) return;
      serverId = server;
      heard = tombstones;
    },
    async answer({ predictorName, known, cause, options, found }, userIds) {
      const refuse = () => userIds.map(() => cause);
      // What was learned under an earlier protocol vouches for nothing, even if Postgres becomes unreachable later.
      if (cause.code === 'protocol_unknown') heard = null;
      if (!known || !found || isBeyondUnverified(options) || heard === null) return refuse();
      // Behind what was found: whoever was erased before this read arrived is counted by now.
      const tombstones = whole(await online.toldOfErasures().catch(() => null));
      if (!tombstones) return refuse();
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
        // What is not in memory cannot be loaded while Postgres does not answer.
        return refuse();
      }
    },
  };
}

function aboveTombstone(candidates: readonly StoredPrediction[] = [], deletedVersion: number) {
  if (deletedVersion === 0) return candidates;
  return candidates.filter(({ contextVersion }) => contextVersion > deletedVersion);
}

/** Whether the caller demands what only Postgres can vouch for: a context, an inference, an age by its clock. */
function isBeyondUnverified({ minContext, noCache, maxAge }: ReadOptions): boolean {
  return minContext !== null || noCache || maxAge !== null;
}

/** Returns the newest stored answer that fits what Postgres last said; it is never called fresh. */
export function unverifiedAnswer(
  userId: string,
  version: ModelVersion,
  { assignments, history }: LastKnown,
  candidates: readonly StoredPrediction[],
): Answer | undefined {
  const assignment = assignments.of(userId);
  const ours = candidates.filter((candidate) => fits(candidate, assignment, history));
  const best = ours.reduce<StoredPrediction | undefined>(
    (newest, candidate) => (newest && newest.contextVersion >= candidate.contextVersion ? newest : candidate),
    undefined,
  );
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
