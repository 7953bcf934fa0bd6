/** Builds a shadow's report from the sums of all processes. */
import { LATENCY_BOUNDS_MS, SCORE_CLASSES } from '../rollouts/arm-counts.ts';
import {
  addShadowCounts,
  type Comparisons,
  deltaRange,
  NO_COMPARISONS,
  NO_EFFORT,
  type Segment,
  type ShadowCounts,
  type ShadowOutcome,
} from './shadow-counts.ts';
import { type Interval, wilsonInterval } from './wilson.ts';

interface ShadowReport {
  /** Served answers of shadowed users, by outcome. */
  readonly outcomes: Readonly<Record<ShadowOutcome, number>>;
  readonly everybody: ComparisonReport;
  /** Segments by feature, those with most users first. */
  readonly segments: readonly (ComparisonReport & { readonly segment: NonNullable<Segment> })[];
  /**
   * Scores from 0 to 1 in classes of equal width, with a row for each class of served scores; null if there are no such
   * scores.
   */
  readonly joint: readonly (readonly number[])[] | null;
  /** The mean age of compared answers when they were served, in seconds; null if none was compared. */
  readonly servedAgeSeconds: number | null;
  readonly candidate: CandidateReport;
}

export interface ComparisonReport {
  readonly compared: number;
  /** The share of answers that differ at all. */
  readonly differentShare: number | null;
  /** Mean of candidate minus served; null if no two numbers were compared. */
  readonly meanDelta: number | null;
  readonly deviation: number | null;
  readonly largestDelta: number | null;
  readonly deltas: readonly { readonly from: number | null; readonly to: number | null; readonly answers: number }[];
  /** The changed decisions; null if the predictor declares no threshold. */
  readonly flips: FlipReport | null;
}

interface FlipReport {
  /** The numbers of decisions that changed to yes, and to no. */
  readonly up: number;
  readonly down: number;
  readonly rate: number | null;
  /** The 95 % interval of the rate of all users, with each answer counted as a separate user. */
  readonly interval: Interval;
}

/** The cost of the candidate. */
interface CandidateReport {
  /**
   * Users by the duration of the statement that read their features and of the run that scored them, at low priority.
   */
  readonly featuresMs: readonly LatencyClass[];
  readonly runMs: readonly LatencyClass[];
  readonly usersRun: number;
  /** The model's processor time for a thousand users, in ms; null if there was no run. */
  readonly cpuMsPerThousand: number | null;
  readonly processesEnded: number;
}

interface LatencyClass {
  /** The upper bound of the class; null above all bounds. */
  readonly toMs: number | null;
  readonly users: number;
}

/**
 * Builds the report.
 * @param rows the sums of all processes
 * @param hasThreshold whether the predictor's decision has a threshold
 */
export function reportShadow(rows: readonly ShadowRow[], hasThreshold: boolean): ShadowReport {
  const sums = new Map<string, { segment: Segment; counts: ShadowCounts }>();
  for (const { segment, counts } of rows) {
    const key = JSON.stringify(segment && [segment.feature, segment.value]);
    const known = sums.get(key)?.counts ?? NO_COMPARISONS;
    sums.set(key, { segment, counts: addShadowCounts(known, counts) });
  }
  const everybody: ShadowCounts = sums.get('null')?.counts ?? NO_COMPARISONS;
  const effort = everybody.effort ?? NO_EFFORT;
  return {
    outcomes: effort.outcomes,
    everybody: reportOf(everybody, hasThreshold),
    segments: [...sums.values()]
      .flatMap(({ segment, counts }) => (segment ? [{ segment, ...reportOf(counts, hasThreshold) }] : []))
      .sort((one, other) => compareTexts(one.segment.feature, other.segment.feature) || other.compared - one.compared),
    joint: jointOf(effort.joint),
    servedAgeSeconds: shareOf(effort.servedAgeSeconds, everybody.compared),
    candidate: {
      featuresMs: latencies(effort.featuresMs),
      runMs: latencies(effort.runMs),
      usersRun: effort.usersRun,
      cpuMsPerThousand: shareOf(effort.cpuMs * 1_000, effort.usersRun),
      processesEnded: effort.processesEnded,
    },
  };
}

function reportOf(counts: Comparisons, hasThreshold: boolean): ComparisonReport {
  const { compared, different, measured, sum, sumOfSquares, largest, deltas, up, down } = counts;
  const meanDelta = shareOf(sum, measured);
  return {
    compared,
    differentShare: shareOf(different, compared),
    meanDelta,
    // By rounding, the mean of squares can be slightly below the square of the mean.
    deviation: meanDelta === null ? null : Math.sqrt(Math.max(0, sumOfSquares / measured - meanDelta ** 2)),
    largestDelta: measured === 0 ? null : largest,
    deltas: deltas.map((answers, i) => ({ ...deltaRange(i), answers })),
    flips: hasThreshold
      ? { up, down, rate: shareOf(up + down, measured), interval: wilsonInterval(up + down, measured) }
      : null,
  };
}

function jointOf(joint: readonly number[]): ShadowReport['joint'] {
  if (!joint.some((count) => count > 0)) return null;
  return Array.from({ length: SCORE_CLASSES }, (_, row) => joint.slice(row * SCORE_CLASSES, (row + 1) * SCORE_CLASSES));
}

function latencies(counts: readonly number[]): LatencyClass[] {
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
