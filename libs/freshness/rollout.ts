/**
 * Rollouts: they try another model version of a predictor beside the stable one. A `canary` serves it to a growing
 * share of the users. A `shadow` computes its answers and compares them with the served answers. An `ab` test serves
 * arms of fixed weights until the better arm is known. A predictor has at most one active rollout.
 */

export type RolloutKind = 'canary' | 'shadow' | 'ab';

/**
 * - `preparing`: the arms' versions are being loaded and their generations computed; they serve no users yet
 * - `running`: its arms are served (or shadowed); `held`: the same, but it does not advance automatically
 * - `promoted`: an arm's version has become the stable one; `aborted`: the stable arm serves all users again; `ended`:
 *   it ended without a promotion or an abort
 */
export type RolloutState = 'preparing' | 'running' | 'held' | 'promoted' | 'aborted' | 'ended';

export interface Rollout {
  readonly id: string;
  readonly predictor: string;
  /** The number for people: 1, 2, 3, … within its predictor. */
  readonly number: number;
  readonly kind: RolloutKind;
  readonly state: RolloutState;
  readonly salt: string;
  readonly plan: RolloutPlan;
  /** For a canary: the index in `plan.steps`. */
  readonly step: number;
  /** The time at which the arms got their current users; null while preparing. */
  readonly stepStartedAt: Date | null;
  /** The arms beside the stable one; for a finished rollout, its last arms. */
  readonly arms: readonly RolloutArm[];
  /** The reason for the rollout's state. */
  readonly reason: string;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly endedAt: Date | null;
}

export interface RolloutArm {
  readonly name: string;
  readonly modelVersionId: string;
  readonly modelNumber: number;
  readonly generationId: string | null;
  /** Whether runs cannot score users with the arm's model version, since it has request features without a default. */
  readonly isLiveOnly?: boolean;
  readonly generationNumber: number | null;
  readonly firstBucket: number;
  readonly endBucket: number;
}

/** Names of arms that A/B tests may not use. */
export const STABLE = 'stable';
export const CANDIDATE = 'candidate';

export type RolloutPlan = CanaryPlan | ShadowPlan | AbPlan;

export interface CanaryPlan {
  readonly kind: 'canary';
  /** The model version's number. */
  readonly version: number;
  /** Rising percentages of the users. The last is 100, at which the version becomes stable. */
  readonly steps: readonly number[];
  /**
   * Whether the canary returns to a former stable version, in one step of 100 % and with that version's kept
   * generation.
   */
  readonly atOnce?: boolean;
  readonly coverage: Coverage;
  readonly analysis: AnalysisPlan;
}

export interface ShadowPlan {
  readonly kind: 'shadow';
  readonly version: number;
  /** Share of the users whose reads are shadowed, 0 to 1; whole users, chosen by bucket. */
  readonly share: number;
  /**
   * The maximum number of shadow inferences a second in each API process. Answers above it are counted, but not
   * shadowed.
   */
  readonly maxPerSecond: number;
}

interface AbPlan {
  readonly kind: 'ab';
  /** The arms beside `stable` with their percentages; `stable` has the rest of 100. */
  readonly arms: readonly { readonly name: string; readonly version: number; readonly weight: number }[];
  readonly coverage: Coverage;
  readonly analysis: AnalysisPlan;
}

/**
 * How a version serves before it has a generation. `required`: it serves no users. `live`: its users are inferred live.
 */
type Coverage = 'required' | 'live';

/** The rules by which a rollout is judged. */
export interface AnalysisPlan {
  /** Whether verdicts move the rollout: advance a step, or abort. */
  readonly automatic: boolean;
  /** Whether verdicts are only recorded, not acted on. */
  readonly dryRun: boolean;
  /** Milliseconds between two looks, and the shortest duration of a step. */
  readonly intervalMs: number;
  readonly minStepMs: number;
  /** Users that each arm needs for a verdict other than `hold`. */
  readonly minUsers: number;
  /** The probability that a harmless version is aborted, over all looks of all guardrails. */
  readonly alpha: number;
  /**
   * The milliseconds that a step may hold, and that a rollout may prepare. Null, or absent in a plan of an earlier
   * release: no limit.
   */
  readonly holdDeadlineMs?: number | null;
  readonly preparingDeadlineMs?: number | null;
  /** The action after a missed deadline: `alert` only reports it; `roll_back` aborts the rollout. */
  readonly onDeadline?: 'alert' | 'roll_back';
  readonly guardrails: Guardrails;
  /** The outcomes of users that are compared between the arms. */
  readonly outcomes: readonly OutcomeMetric[];
}

/** How much worse than the stable arm another arm may be; null: not checked. */
interface Guardrails {
  /** Difference of the share of reads without a prediction of the model (errors and defaults). */
  readonly errorRate: number | null;
  /** Difference of the share of reads slower than `slowMs`. */
  readonly slowShare: number | null;
  readonly slowMs: number;
  /** Difference of the share of reads that were inferred live. */
  readonly liveShare: number | null;
  /** Difference of the share of stale answers; absent in a plan of an earlier release: not checked. */
  readonly staleShare?: number | null;
  /** Difference of the share of default answers, which `errorRate` counts too. */
  readonly defaultShare?: number | null;
  /** Population stability index between the arms' scores; null: reported, but no guardrail. */
  readonly psi: number | null;
}

export interface OutcomeMetric {
  /** The outcome's name in POST /v1/outcomes. */
  readonly name: string;
  /** `binary`: whether a user had one; `sum`: the sum of a user's values. */
  readonly kind: 'binary' | 'sum';
  /** The milliseconds after a user's first exposure in which an outcome counts. */
  readonly windowMs: number;
  readonly better: 'higher' | 'lower';
  /** Whether a worse result aborts the rollout; else it is only reported. */
  readonly guardrail: boolean;
  /** The smallest relative effect worth detecting: "needs N more days" refers to it. */
  readonly minimumEffect: number;
  /**
   * For `sum`: the limit of the amount of a user's sum, in every arm. Null, or absent in a plan of an earlier release: no
   * limit.
   */
  readonly cap?: number | null;
}

export function isActive(state: RolloutState): boolean {
  return state === 'preparing' || state === 'running' || state === 'held';
}
