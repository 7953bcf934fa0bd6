/**
 * Serves a read that demands an inference (`no-cache`). The feature statement of such a read will be sent in any case.
 * It begins after the read arrived and returns version and features in one row, with assignment, history and clock. So
 * it certifies the read by itself, and no separate authority statement is needed.
 *
 * The model version and arm are guessed from what Postgres last said. If the guess was wrong (other assignment or
 * revision), the statement failed, or the user is unknown, the read continues like any other read. It infers again only if the
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
  /** Distinct. */
  readonly userIds: readonly string[];
  /** The users in the order of the call, with repeats. */
  readonly calledFor: readonly string[];
  readonly options: ReadOptions;
  readonly times: ReadTimes;
}

/** Takes note of a certificate. Throws `unknown_predictor`. */
type Notice = (certificate: Certificate) => Assignments;

interface Demanded {
  /** Answers of users whose inference was in time and used the current assignment. */
  readonly answers: Results;
  /** Failures of the other users, if they were inferred for the current assignment: one attempt is enough. */
  failuresAt(assignment: Assignment, history: string): ReadonlyMap<string, LiveOutcome> | undefined;
}

export type DemandInference = (demand: AskedDemand, notice: Notice) => Promise<Demanded>;

/** If the caller names a context, the first error is that the context does not exist. */
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

function nothingDemanded(): Demanded {
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

async function demandOfArm({ registry, live }: DemandDependencies, demand: Demand, notice: Notice): Promise<Demanded> {
  const { known, predictor, options, times, requested } = demand;
  const { assignment, userIds } = demand.group;
  const { history } = known;
  const answers: Results = new Map();
  // Rarely is there one: a map for each read would cost more.
  let failures: Map<string, LiveOutcome> | undefined;
  const version = await registry.modelVersion(assignment.modelVersionId);
  if (!isComplete(version, options)) return nothingDemanded();
  const { liveTimeoutMs: timeoutMs } = predictor.policy.freshness;
  const readers = userIds.map((userId) => ({ userId, minVersion: 0, fresh: true, rows: requested.get(userId) }));
  const request = { version, assignment, history, timeoutMs, enabled: true, readers };
  const askedAt = performance.now();
  const outcomes = await predictWithin(live, request, options);
  times.liveMs = since(askedAt);
  for (const [userId, outcome] of outcomes) {
    if (isRefusal(outcome) && failureRung(demand) === 'error') {
      // Whatever else is found out would change nothing: to refuse must cost least where there is too much to do.
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
    // A predictor that was adopted again meanwhile is another object.
    const isAsGuessed = isAssigned(demand, assigned, certificate.history);
    if (!isAsGuessed || (await registry.predictor(predictor.name)) !== predictor) continue;
    const { rollout } = assignments;
    const read = { predictor, version, assignment: assigned, rollout, certificate, options, requested };
    const standing = standingOf(read, userId, []);
    answers.set(userId, answersOf(read, standing, 'requested', outcome));
  }
  return { answers, failuresAt: (assigned, now) => (isAssigned(demand, assigned, now) ? failures : undefined) };
}

/** Whether an arm's inference used the current assignment. */
function isAssigned({ known, group }: Demand, assigned: Assignment, history: string): boolean {
  return (
    known.history === history &&
    group.assignment.modelVersionId === assigned.modelVersionId &&
    group.assignment.overlayFloor === assigned.overlayFloor
  );
}

function together(demands: readonly Demanded[]): Demanded {
  return {
    answers: new Map(demands.flatMap(({ answers }) => [...answers])),
    failuresAt(assignment, history) {
      const failures = demands.flatMap((one) => [...(one.failuresAt(assignment, history) ?? [])]);
      return failures.length > 0 ? new Map(failures) : undefined;
    },
  };
}
