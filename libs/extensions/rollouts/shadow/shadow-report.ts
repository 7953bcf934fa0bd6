/** Builds a shadow's report from the sums of all processes. */

import { wilsonInterval } from '@tandem/experiment/distributions/wilson';
import { LATENCY_BOUNDS_MS, SCORE_CLASSES } from '../rules/arm-counts.ts';
import {
  addShadowCounts,
  type Comparisons,
  deltaRange,
  NO_COMPARISONS,
  NO_EFFORT,
  type Segment,
  type ShadowCounts,
} from './shadow-counts.ts';

export type ComparisonReport = ReturnType<typeof reportOf>;

/**
 * Builds the report.
 * @param rows the sums of all processes
 * @param hasThreshold whether the predictor's decision has a threshold
 */
export function reportShadow(rows: readonly ShadowRow[], hasThreshold: boolean) {
  const sums = new Map<string, { segment: Segment; counts: ShadowCounts }>();
  for (const { segment, counts } of rows) {
    const key = JSON.stringify(segment && [segment.feature, segment.value]);
    const known = sums.get(key)?.counts ?? NO_COMPARISONS;
    sums.set(key, { segment, counts: addShadowCounts(known, counts) });
  }
  const everybody: ShadowCounts = sums.get('null')?.counts ?? NO_COMPARISONS;
  const effort = everybody.effort ?? NO_EFFORT;
  return {
    /** Served answers of shadowed users, by outcome. */
    outcomes: effort.outcomes,
    everybody: reportOf(everybody, hasThreshold),
    /** Segments by feature, those with most users first. */
    segments: [...sums.values()]
      .flatMap(({ segment, counts }) => (segment ? [{ segment, ...reportOf(counts, hasThreshold) }] : []))
      .sort((one, other) => compareTexts(one.segment.feature, other.segment.feature) || other.compared - one.compared),
    joint: jointOf(effort.joint),
    /** The mean age of compared answers when they were served, in seconds; null if none was compared. */
    servedAgeSeconds: shareOf(effort.servedAgeSeconds, everybody.compared),
    /** The cost of the candidate. */
    candidate: {
      /** Users by the duration of the statement that read their features and of the run that scored them. */
      featuresMs: latencies(effort.featuresMs),
      runMs: latencies(effort.runMs),
      usersRun: effort.usersRun,
      /** The model's processor time for a thousand users, in ms; null if there was no run. */
      cpuMsPerThousand: shareOf(effort.cpuMs * 1_000, effort.usersRun),
      processesEnded: effort.processesEnded,
    },
  };
}

function reportOf(counts: Comparisons, hasThreshold: boolean) {
  const { compared, different, measured, sum, sumOfSquares, largest, deltas, up, down } = counts;
  const meanDelta = shareOf(sum, measured);
  return {
    compared,
    /** The share of answers that differ at all. */
    differentShare: shareOf(different, compared),
    /** Mean of candidate minus served; null if no two numbers were compared. */
    meanDelta,
    // By rounding, the mean of squares can be slightly below the square of the mean.
    deviation: meanDelta === null ? null : Math.sqrt(Math.max(0, sumOfSquares / measured - meanDelta ** 2)),
    largestDelta: measured === 0 ? null : largest,
    deltas: deltas.map((answers, i) => ({ ...deltaRange(i), answers })),
    /**
     * The decisions that changed to yes (`up`) and to no; null if the predictor declares no threshold. The rate has the
     * 95 % interval of the rate of all users, with each answer counted as a separate user.
     */
    flips: hasThreshold
      ? { up, down, rate: shareOf(up + down, measured), interval: wilsonInterval(up + down, measured) }
      : null,
  };
}

/**
 * Returns a row for each class of served scores, from 0 to 1 in classes of equal width; null if there are no scores.
 */
function jointOf(joint: readonly number[]): (readonly number[])[] | null {
  if (!joint.some((count) => count > 0)) return null;
  return Array.from({ length: SCORE_CLASSES }, (_, row) => joint.slice(row * SCORE_CLASSES, (row + 1) * SCORE_CLASSES));
}

/** Returns the users of each class, with its upper bound; null above all bounds. */
function latencies(counts: readonly number[]) {
  return counts.map((users, i) => ({ toMs: LATENCY_BOUNDS_MS[i] ?? null, users }));
}

function shareOf(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}

function compareTexts(one: string, other: string): number {
  return one === other ? 0 : one < other ? -1 : 1;
}

// The port of a shadow to its store keeps the sums of all processes, and the users with the largest changes.

/** A user whose two answers differ much. It contains predictions of the user, so an erasure deletes it. */
export interface ShadowMover {
  readonly userId: string;
  readonly served: number;
  readonly candidate: number;
  /** The label of the candidate's answer, and Postgres' clock when its features were read, in ms since 1970. */
  readonly contextVersion: number;
  readonly computedAt: number;
}

/** The sums of a process so far, for all users (null) or for a segment. */
export interface ShadowRow {
  readonly segment: Segment;
  readonly counts: ShadowCounts;
}

export interface ShadowSums {
  readonly rolloutId: string;
  readonly processId: string;
  readonly rows: readonly ShadowRow[];
  /** The largest changes found since the last call. */
  readonly movers: readonly ShadowMover[];
}

export interface ShadowStore {
  /**
   * Replaces the earlier sums of the process. Keeps nothing if the rollout no longer exists.
   * @returns the difference that a user's answers must exceed from now on to be kept; 0 while there is room
   */
  keep(sums: ShadowSums): Promise<number>;
}

/** The number of kept users of a rollout: those with the largest differences. */
export const MOST_MOVERS = 50;
