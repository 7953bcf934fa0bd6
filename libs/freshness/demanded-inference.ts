/**
 * Serves a read that demands an inference (`no-cache`). Such a read always sends a feature statement. That statement
 * begins after the read arrived and returns version and features in one row, with assignment, history and clock. So it
 * certifies the read by itself, without a separate authority statement.
 *
 * The model version and arm are guessed from the last certificate. The read continues like any other read if the guess
 * was wrong (another assignment or revision), the statement failed, or the user is unknown. It infers again only if the
 * guess was wrong.
 */

import { type ArmGroup, groupByArm } from './candidates.ts';
import type { Assignment, Assignments, Certificate } from './certificate.ts';
import { answersOf, failureRung, noPrediction } from './ladder.ts';
import { isRefusal, type LiveOutcome, type LivePredictor, predictedOf, predictWithin } from './live-predictor.ts';
import type { Predictor } from './predictor.ts';
import { type ReadOptions, type ReadTimes, since } from './read-options.ts';
import type { Registry } from './reader.ts';
import type { RequestedRows } from './request-features.ts';
import { isComplete, NOTHING_REQUESTED, type Results, requestedRows } from './requested-rows.ts';
import { standingOf } from './settle.ts';
import type { LastKnown } from './unverified-read.ts';

interface DemandDependencies {
  readonly registry: Registry;
  readonly live: LivePredictor;
}

interface AskedDemand {
  /** The last assignment that Postgres gave. */
  readonly known: LastKnown | undefined;
  readonly predictorName: string;
  /** The users, each once. */
  readonly userIds: readonly string[];
  /** The users in the order of the call, with repeats. */
  readonly calledFor: readonly string[];
  readonly options: ReadOptions;
  readonly times: ReadTimes;
}

/** Records a certificate. Throws `unknown_predictor`. */
type Notice = (certificate: Certificate) => Assignments;

/** The result of a demanded inference, for the users of a read. */
export interface DemandedAnswers {
  /** Answers of the users who were inferred in time under the current assignment. */
  readonly answers: Results;
  /**
   * Returns the failures of the other users, if they were inferred under the current assignment. These users are not
   * inferred again.
   */
  failuresAt(assignment: Assignment, history: string): ReadonlyMap<string, LiveOutcome> | undefined;
}

export type DemandInference = (demand: AskedDemand, notice: Notice) => Promise<DemandedAnswers>;

/**
 * Returns whether the feature statement alone can answer the read. A read that names a context is excluded, since it
 * must fail before any inference if that context does not exist.
 */
export function isDemand({ noCache, onlyIfCached, minContext }: ReadOptions): boolean {
  return noCache && !onlyIfCached && minContext === null;
}

export function createDemandInference(dependencies: DemandDependencies): DemandInference {
  return async function demand({ known, predictorName, userIds, calledFor, options, times }, notice) {
    const predictor = known && (await dependencies.registry.predictor(predictorName));
    if (!known || !predictor?.policy.freshness.live) return nothingDemanded();
    const groups = groupByArm(known.assignments, userIds);
    // Request features that the guessed versions refuse are checked again against the assigned versions.
    const refused: Results = new Map();
    const { registry } = dependencies;
    const { request } = options;
    const requested = request
      ? await requestedRows(registry, known.assignments, calledFor, request, refused).catch(() => null)
      : NOTHING_REQUESTED;
    if (!requested || refused.size > 0) return nothingDemanded();
    const demands = groups.map((group) =>
      demandOfArm(dependencies, { known, predictor, options, times, group, requested }, notice),
    );
    const [only] = demands;
    return only && demands.length === 1 ? only : together(await Promise.all(demands));
  };
}

function nothingDemanded(): DemandedAnswers {
  return { answers: new Map(), failuresAt: () => undefined };
}

interface Demand {
  readonly known: LastKnown;
  readonly predictor: Predictor;
  readonly options: ReadOptions;
  readonly times: ReadTimes;
  readonly group: ArmGroup;
  readonly requested: RequestedRows;
}

async function demandOfArm(stores: DemandDependencies, demand: Demand, notice: Notice): Promise<DemandedAnswers> {
  const { known, predictor, options, times, requested } = demand;
  const { assignment, userIds } = demand.group;
  const { history } = known;
  const answers: Results = new Map();
  // Failures are rare: a map for each read would cost more.
  let failures: Map<string, LiveOutcome> | undefined;
  const version = await stores.registry.modelVersion(assignment.modelVersionId);
  if (!isComplete(version, options)) return nothingDemanded();
  const { liveTimeoutMs: timeoutMs } = predictor.policy.freshness;
  const readers = userIds.map((userId) => ({
    ...{ userId, minVersion: 0, fresh: true, demanded: true },
    rows: requested.get(userId),
  }));
  const request = { version, assignment, history, timeoutMs, enabled: true, readers };
  const askedAt = performance.now();
  const outcomes = await predictWithin(stores.live, request, options);
  times.liveMs = since(askedAt);
  for (const [userId, outcome] of outcomes) {
    if (isRefusal(outcome) && failureRung(demand) === 'error') {
      // No further lookup would change the result, and under overload a rejection must be cheap.
      answers.set(userId, noPrediction('overloaded', outcome, userId));
      continue;
    }
    const predicted = predictedOf(outcome);
    if (!predicted) {
      failures ??= new Map();
      failures.set(userId, outcome);
      continue;
    }
    const { certificate } = predicted;
    const assignments = notice(certificate);
    const assigned = assignments.of(userId);
    // If the predictor was adopted again during the inference, the registry returns another object.
    const isAsGuessed = isAssigned(demand, assigned, certificate.history);
    if (!isAsGuessed || (await stores.registry.predictor(predictor.name)) !== predictor) continue;
    const { rollout } = assignments;
    const read = { predictor, version, assignment: assigned, rollout, certificate, options, requested };
    const standing = standingOf(read, userId, []);
    answers.set(userId, answersOf(read, standing, 'requested', outcome));
  }
  return { answers, failuresAt: (assigned, now) => (isAssigned(demand, assigned, now) ? failures : undefined) };
}

/** Returns whether an arm's inference used the current assignment. */
function isAssigned({ known, group }: Demand, assigned: Assignment, history: string): boolean {
  return (
    known.history === history &&
    group.assignment.modelVersionId === assigned.modelVersionId &&
    group.assignment.overlayFloor === assigned.overlayFloor
  );
}

function together(demands: readonly DemandedAnswers[]): DemandedAnswers {
  return {
    answers: new Map(demands.flatMap(({ answers }) => [...answers])),
    failuresAt(assignment, history) {
      const failures = demands.flatMap((one) => [...(one.failuresAt(assignment, history) ?? [])]);
      return failures.length > 0 ? new Map(failures) : undefined;
    },
  };
}
