/**
 * Reports the value of fresh context on a history: the quality of each policy's answers, by the age of their context,
 * with intervals by user, and the inferences spent. All policies are judged by the same reads, so differences are
 * paired.
 */

import type { Interval } from '@tandem/experiment/distributions/wilson';
import {
  addRead,
  type Estimate,
  equallyActiveUsers,
  estimate,
  meanOf,
  newUserSums,
  type UserSums,
} from '@tandem/experiment/estimates/user-bootstrap';
import { ageFigures, sumByAge } from './age-curve.ts';
import type { Judge } from './judges.ts';
import { areaUnderCurve, calibrationBins, calibrationError, type ScoredReads } from './quality.ts';
import { answerReads, type ServingPolicy } from './serving-policies.ts';
import { gainBounds } from './unknown-outcomes.ts';
import type { ValueHistory } from './value-history.ts';

const RESAMPLES = 1_000;
/** The number of bootstrap draws for AUC. Ranks cost more than means: a draw is a pass over all reads. */
const RANK_RESAMPLES = 200;

/** The answers of each policy, the reads that every policy answers from a known context, and the contexts to score. */
type ValuePlan = ReturnType<typeof planValue>;

/** The gain of the hybrid over batch-only with the same cadence, on the same reads. */
export interface Gain {
  readonly cadenceMs: number;
  /** The gain; positive if the hybrid is better. The intervals of all cadences hold together. */
  readonly change: Estimate;
  /** The least and the greatest gain that unknown outcomes permit, on all reads; null if all outcomes are known. */
  readonly bounds: Interval | null;
  /** The finding; `unknown` if there are not enough users. */
  readonly verdict: 'gain' | 'none' | 'loss' | 'unknown';
}

export type ValueReport = ReturnType<typeof reportValue>;

interface PlanOptions {
  readonly cadencesMs: readonly number[];
  readonly maxAgeMs: number | null;
}

/** Computes the answers of each policy, and the reads that all policies answer. */
export function planValue(history: ValueHistory, { cadencesMs, maxAgeMs }: PlanOptions) {
  const policies: ServingPolicy[] = [
    ...cadencesMs.map((cadenceMs) => ({ kind: 'batch' as const, cadenceMs })),
    ...cadencesMs.map((cadenceMs) => ({ kind: 'hybrid' as const, cadenceMs })),
    { kind: 'live' },
  ];
  const served = policies.map((policy) => ({ policy, ...answerReads(history, policy, maxAgeMs) }));
  const judged = Uint32Array.from(
    [...history.reads.keys()].filter((read) => served.every(({ contexts }) => (contexts[read] as number) >= 0)),
  );
  const contexts = new Set<number>();
  for (const one of served) for (const read of judged) contexts.add(one.contexts[read] as number);
  return { history, served, judged, contexts: [...contexts] };
}

/**
 * Builds the report of a plan.
 * @param plan the plan, with at least one judged read that can be scored and has a known outcome
 */
export function reportValue(plan: ValuePlan, judge: Judge, seed: number) {
  const { history } = plan;
  const scorable = scorableReads(plan, judge);
  const reads = scorable.filter((read) => history.reads[read]?.outcome !== null);
  const board = newBoard(plan, judge, reads);
  const policies = figuresOf(plan, judge, board, seed);
  const outcomeRate = judge.chance ? board.outcomes.reduce((sum, one) => sum + one, 0) / reads.length : null;
  return {
    ...{ predictor: history.predictor, simulated: history.simulated, measure: judge.measure, top: judge.top },
    from: new Date(history.from).toISOString(),
    to: new Date(history.to).toISOString(),
    reads: {
      all: history.reads.length,
      judged: reads.length,
      unknownContext: history.reads.length - plan.judged.length,
      unknownOutcome: scorable.length - reads.length,
      unscorable: plan.judged.length - scorable.length,
    },
    /** `effective`: the number of equally active users with as wide intervals. */
    users: { scored: history.users, judged: board.counts.length, effective: equallyActiveUsers(board.counts) },
    /** The share of the judged reads with the outcome; null for a list. */
    outcomeRate,
    ...gainsAndCurve(plan, { judge, scorable }, board, seed),
    policies,
    resampling: { resamples: RESAMPLES, seed },
  };
}

/** Returns the judged reads for which the model can score the context of every policy. */
export function scorableReads({ history, served, judged }: ValuePlan, judge: Judge): Uint32Array {
  return judged.filter((read) => {
    const outcome = history.reads[read]?.outcome ?? 0;
    return served.every(({ contexts }) => !Number.isNaN(judge.quality(contexts[read] as number, outcome)));
  });
}

/**
 * Counts over the judged reads; users are numbered among users with reads. `userOf` is the user of each judged read,
 * and `counts` the number of judged reads of each user.
 */
type Board = ReturnType<typeof newBoard>;

function newBoard({ history, served }: ValuePlan, judge: Judge, reads: Uint32Array) {
  const places = new Map<number, number>();
  const userOf = reads.map((read) => {
    const user = history.reads[read]?.user ?? 0;
    const place = places.get(user) ?? places.size;
    places.set(user, place);
    return place;
  });
  const counts = new Float64Array(places.size);
  for (const user of userOf) counts[user] = (counts[user] as number) + 1;
  const outcomeOf = (read: number) => history.reads[read]?.outcome ?? 0;
  return {
    reads,
    ...{ userOf, counts },
    outcomes: Uint8Array.from(reads, (read) => (outcomeOf(read) === 1 ? 1 : 0)),
    /** Quality by policy and judged read. */
    quality: served.map(({ contexts }) =>
      Float64Array.from(reads, (read) => judge.quality(contexts[read] as number, outcomeOf(read))),
    ),
    /** 1 if higher is better, -1 if lower is better. */
    sign: judge.measure === 'logLoss' ? -1 : 1,
  };
}

/** Adds up a value of the judged reads by user. */
function sumReads({ userOf, counts }: Board, valueAt: (read: number) => number): UserSums {
  const sums = newUserSums(counts.length);
  userOf.forEach((user, read) => {
    addRead(sums, user, valueAt(read));
  });
  return sums;
}

/** Returns a function that gives the gain of a policy over another for a judged read. */
function changeOf({ quality, sign }: Board, policy: number, reference: number): (read: number) => number {
  const [ours, theirs] = [quality[policy] as Float64Array, quality[reference] as Float64Array];
  return (read) => sign * ((ours[read] as number) - (theirs[read] as number));
}

export type PolicyFigures = ReturnType<typeof figuresOf>[number];

function figuresOf(plan: ValuePlan, judge: Judge, board: Board, seed: number) {
  const live = plan.served.length - 1;
  const meansOf = (policy: number) => {
    const quality = board.quality[policy] as Float64Array;
    return [sumReads(board, (read) => quality[read] as number), sumReads(board, changeOf(board, policy, live))];
  };
  const statistics = plan.served.flatMap((_, policy) => meansOf(policy).map(meanOf));
  const means = estimate(statistics, { counts: board.counts, seed, resamples: RESAMPLES });
  const chances = chanceFigures(plan, judge, board, seed);
  return plan.served.map(({ policy, ages, batchInferences, liveInferences }, i) => ({
    policy: policy.kind,
    /** The time between two runs; null for live-only. */
    cadenceMs: policy.kind === 'live' ? null : policy.cadenceMs,
    quality: means[2 * i] as Estimate,
    /** The gain over live-only on the same reads; negative if worse. */
    againstLive: means[2 * i + 1] as Estimate,
    /** The area under the ROC curve, and the calibration; null for a list. */
    auc: chances[i]?.auc ?? null,
    calibration: chances[i]?.calibration ?? null,
    byAge: ageFigures(sumByAge([layerOf(plan.served, board, i, ages)], board.counts.length), seed),
    inferences: {
      batch: batchInferences,
      live: liveInferences,
      aRead: (batchInferences + liveInferences) / plan.history.reads.length,
    },
  }));
}

/** Returns the answers of a policy in the form that the age curve needs. */
function layerOf(served: ValuePlan['served'], board: Board, policy: number, ages: Float64Array) {
  return {
    users: board.userOf,
    ages: Float64Array.from(board.reads, (read) => ages[read] as number),
    quality: board.quality[policy] as Float64Array,
    againstLive: changeOf(board, policy, served.length - 1),
  };
}

function chanceFigures({ served }: ValuePlan, { chance }: Judge, board: Board, seed: number) {
  if (!chance) return [];
  const scored = served.map(
    ({ contexts }): ScoredReads => ({
      users: board.userOf,
      scores: Float64Array.from(board.reads, (read) => chance(contexts[read] as number)),
      outcomes: board.outcomes,
    }),
  );
  const bias = ({ scores, outcomes }: ScoredReads) =>
    meanOf(sumReads(board, (read) => (scores[read] as number) - (outcomes[read] as number)));
  const { counts } = board;
  const areas = estimate(scored.map(areaUnderCurve), { counts, seed, resamples: RANK_RESAMPLES });
  const biases = estimate(scored.map(bias), { counts, seed, resamples: RESAMPLES });
  return scored.map((reads, i) => {
    const area = areas[i] as Estimate;
    const bins = calibrationBins(reads);
    return {
      /** Null if all outcomes are equal. */
      auc: Number.isNaN(area.value) ? null : area,
      /**
       * The mean prediction minus the share of reads with the outcome, and the mean difference between predicted and
       * observed shares, over ten bins.
       */
      calibration: { bias: biases[i] as Estimate, error: calibrationError(bins), bins },
    };
  });
}

interface Scorable {
  readonly judge: Judge;
  /** The reads that can be scored, with known and unknown outcomes. */
  readonly scorable: Uint32Array;
}

function gainsAndCurve({ served, history }: ValuePlan, { judge, scorable }: Scorable, board: Board, seed: number) {
  const cadences = served.flatMap(({ policy }) => (policy.kind === 'batch' ? [policy.cadenceMs] : []));
  const changes = cadences.map((_, i) => sumReads(board, changeOf(board, cadences.length + i, i)));
  const options = { counts: board.counts, seed, resamples: RESAMPLES, together: true };
  const estimates = estimate(changes.map(meanOf), options);
  const gains = cadences.map((cadenceMs, i): Gain => {
    const change = estimates[i] as Estimate;
    const [ours, theirs] = [served[cadences.length + i]?.contexts ?? [], served[i]?.contexts ?? []];
    const bounds = gainBounds(history, judge, scorable, { ours, theirs });
    return { cadenceMs, change, bounds, verdict: verdictOf(change) };
  });
  const layers = cadences.map((_, i) => layerOf(served, board, i, served[i]?.ages ?? new Float64Array()));
  // The figures of batch-only answers at all cadences.
  return { gains, batchByAge: ageFigures(sumByAge(layers, board.counts.length), seed) };
}

function verdictOf({ low, high }: Estimate): Gain['verdict'] {
  if (Number.isNaN(low)) return 'unknown';
  if (low > 0) return 'gain';
  return high < 0 ? 'loss' : 'none';
}
