/**
 * What was served from one arm with one source: sums that a process keeps since a step began, and that are added up over
 * processes. Reports show the reads. Guardrails go by users: each user weighs 1 in each process, split over their reads.
 */
import type { ExposedUsers, ServedSource } from './exposures.ts';

/** Upper bounds of the latency classes, ms; one more class lies above the last. */
export const LATENCY_BOUNDS_MS = Object.freeze([1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000] as const);

/** Classes of a score of 0 to 1. Others are not counted: in the last class all of a model's sums of money would be alike. */
export const SCORE_CLASSES = 20;

/** The class of a time, by LATENCY_BOUNDS_MS: that of the first bound that it does not exceed. */
export function latencyClassOf(ms: number): number {
  const at = LATENCY_BOUNDS_MS.findIndex((bound) => ms <= bound);
  return at < 0 ? LATENCY_BOUNDS_MS.length : at;
}

/** The class of a score; undefined where it is not of 0 to 1. */
export function scoreClassOf(score: number): number | undefined {
  if (!(score >= 0 && score <= 1)) return undefined;
  return Math.min(SCORE_CLASSES - 1, Math.floor(score * SCORE_CLASSES));
}

export interface ArmCounts {
  readonly reads: number;
  /** Reads without a prediction of the model: errors of the service and defaults. */
  readonly errors: number;
  /** By LATENCY_BOUNDS_MS and above. */
  readonly latency: readonly number[];
  /** By SCORE_CLASSES, of the field that the predictor decides by: each user's first score in the step. */
  readonly scores: readonly number[];
  /** Sum over the users of the share of their reads that are counted here. */
  readonly users: number;
  /** The part of `users` whose reads were slower than the plan's `slowMs`. */
  readonly slowUsers: number;
}

export const NO_COUNTS: ArmCounts = Object.freeze({
  reads: 0,
  errors: 0,
  latency: Object.freeze(Array.from({ length: LATENCY_BOUNDS_MS.length + 1 }, () => 0)),
  scores: Object.freeze(Array.from({ length: SCORE_CLASSES }, () => 0)),
  users: 0,
  slowUsers: 0,
});

export function addCounts(one: ArmCounts, other: ArmCounts): ArmCounts {
  return {
    reads: one.reads + other.reads,
    errors: one.errors + other.errors,
    latency: one.latency.map((count, i) => count + (other.latency[i] ?? 0)),
    scores: one.scores.map((count, i) => count + (other.scores[i] ?? 0)),
    // Absent from what a process of an earlier release has counted.
    users: one.users + (other.users ?? 0),
    slowUsers: one.slowUsers + (other.slowUsers ?? 0),
  };
}

export interface ArmSourceCounts {
  readonly arm: string;
  readonly source: ServedSource;
  readonly counts: ArmCounts;
}

/** What one step of a rollout has served so far, over all processes; a few seconds old. */
export interface StepFigures {
  readonly counts: readonly ArmSourceCounts[];
  /** Users first served in this step, by arm and the source of their first answer: what a sample-ratio check looks at. */
  readonly exposed: readonly ExposedUsers[];
  /** Users whom this step has served from more than one arm; outcomes leave them out. */
  readonly multipleExposures: number;
}
