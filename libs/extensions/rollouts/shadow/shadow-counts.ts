/**
 * The counts of a shadow's comparisons with the served answers. Each process keeps sums as long as the rollout lasts,
 * and the sums of all processes are added up. Classes are fixed, so that the sums match.
 */
import { addSums, LATENCY_BOUNDS_MS, SCORE_CLASSES, zeros } from '../rules/arm-counts.ts';

/**
 * The outcome of a served answer of a shadowed user. Each answer has one of these:
 * - `compared`
 * - not comparable: `not_fresh`, the served answer is not known to be fresh; `context_differs`, the user's context
 *   changed between the two; `no_features`, the candidate's query has no row of the user; `no_value`, one of the two
 *   lacks the output
 * - not computed: `repeated`, the same served answer was compared before; `coalesced`, a later answer of the same user
 *   replaced it; `over_rate`, `over_cpu` and `over_line`, a limit of the shadow was exceeded
 * - the candidate gave no answer: `features_unusable`, `failed` (it crashed, refused, or gave no finite number),
 *   `timed_out`, `overloaded`, `unavailable` (Postgres does not answer, or the model is paused)
 */
const SHADOW_OUTCOMES = Object.freeze([
  'compared',
  'not_fresh',
  'context_differs',
  'no_features',
  'no_value',
  'repeated',
  'coalesced',
  'over_rate',
  'over_cpu',
  'over_line',
  'features_unusable',
  'failed',
  'timed_out',
  'overloaded',
  'unavailable',
] as const);

export type ShadowOutcome = (typeof SHADOW_OUTCOMES)[number];

/**
 * Lower bounds of the classes of differences, on both sides of 0. The middle class holds differences below the first
 * bound.
 */
const DELTA_BOUNDS = Object.freeze([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 10, 100, 1_000]);
const MIDDLE = DELTA_BOUNDS.length;
export const DELTA_CLASSES = 2 * MIDDLE + 1;

/** Comparisons of all users, or of the users of a segment. */
export interface Comparisons {
  readonly compared: number;
  /** The number of answers that differ at all. */
  readonly different: number;
  /** The number of answers with two numbers, over which candidate minus served is summed. */
  readonly measured: number;
  readonly sum: number;
  readonly sumOfSquares: number;
  /** The largest absolute difference. */
  readonly largest: number;
  /** Differences by class, from the most negative to the most positive. */
  readonly deltas: readonly number[];
  /** Answers that reach the threshold only with the candidate (`up`) or only as served (`down`). */
  readonly up: number;
  readonly down: number;
  /** Served answers at or above the threshold. */
  readonly above: number;
}

/** The outcomes, and the cost of the candidate. For all users together only. */
interface ShadowEffort {
  readonly outcomes: Readonly<Record<ShadowOutcome, number>>;
  /** Scores from 0 to 1 by class: for each class of the served score, the classes of the candidate's score. */
  readonly joint: readonly number[];
  /** Users by latency class of the statement that read their features, and of the run that scored them. */
  readonly featuresMs: readonly number[];
  readonly runMs: readonly number[];
  /** The number of users in answered runs, and the CPU time of these runs. */
  readonly usersRun: number;
  readonly cpuMs: number;
  /** The number of candidate processes that crashed or had to be ended. */
  readonly processesEnded: number;
  /** The sum of the ages of compared served answers, in seconds. */
  readonly servedAgeSeconds: number;
}

export interface ShadowCounts extends Comparisons {
  readonly effort?: ShadowEffort;
}

/** Users with one value of a feature; null: all users. With a `value` of null: users with all other values. */
export type Segment = { readonly feature: string; readonly value: string | null } | null;

export const NO_COMPARISONS: Comparisons = Object.freeze({
  ...{ compared: 0, different: 0, measured: 0, sum: 0, sumOfSquares: 0, largest: 0 },
  deltas: zeros(DELTA_CLASSES),
  ...{ up: 0, down: 0, above: 0 },
});

export const NO_EFFORT: ShadowEffort = Object.freeze({
  outcomes: Object.freeze(
    Object.fromEntries(SHADOW_OUTCOMES.map((outcome) => [outcome, 0])),
  ) as ShadowEffort['outcomes'],
  joint: zeros(SCORE_CLASSES ** 2),
  featuresMs: zeros(LATENCY_BOUNDS_MS.length + 1),
  runMs: zeros(LATENCY_BOUNDS_MS.length + 1),
  ...{ usersRun: 0, cpuMs: 0, processesEnded: 0, servedAgeSeconds: 0 },
});

export function addShadowCounts(one: ShadowCounts, other: ShadowCounts): ShadowCounts {
  const efforts = [one.effort, other.effort].filter((effort) => effort !== undefined);
  return {
    ...addSums(NO_COMPARISONS, one, other),
    largest: Math.max(one.largest, other.largest),
    ...(efforts.length === 0 ? {} : { effort: efforts.reduce(addEfforts, NO_EFFORT) }),
  };
}

function addEfforts(one: ShadowEffort, other: ShadowEffort): ShadowEffort {
  return { ...addSums(NO_EFFORT, one, other), outcomes: addSums(NO_EFFORT.outcomes, one.outcomes, other.outcomes) };
}

/** Returns the class of a difference, as an index of `deltas`. */
export function deltaClassOf(delta: number): number {
  const size = Math.abs(delta);
  let bounds = 0;
  while (bounds < MIDDLE && size >= (DELTA_BOUNDS[bounds] as number)) bounds++;
  return delta < 0 ? MIDDLE - bounds : MIDDLE + bounds;
}

/** Returns the bounds of a class; null if a side has no bound. */
export function deltaRange(index: number): { readonly from: number | null; readonly to: number | null } {
  const far = DELTA_BOUNDS[Math.abs(index - MIDDLE)] ?? null;
  const near = DELTA_BOUNDS[Math.abs(index - MIDDLE) - 1] ?? 0;
  if (index === MIDDLE) return { from: -(far ?? 0), to: far };
  return index > MIDDLE ? { from: near, to: far } : { from: far === null ? null : -far, to: -near };
}
