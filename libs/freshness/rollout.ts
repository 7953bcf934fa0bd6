/**
 * Rollouts: another model version of a predictor beside the stable one. A `canary` serves it to a growing share of the
 * users; a `shadow` computes what it would have answered, and compares; an `ab` test serves arms of fixed weights for as
 * long as it takes to know which is better. One is active of a predictor at a time.
 */

export type RolloutKind = 'canary' | 'shadow' | 'ab';

/**
 * - `preparing`: the arms' versions are being loaded and their generations computed; nobody is served from them yet
 * - `running`: its arms are served (or shadowed); `held`: they are, and it does not go on by itself
 * - `promoted`: an arm's version has become the stable one; `aborted`: it was taken back; `ended`: without either
 */
export type RolloutState = 'preparing' | 'running' | 'held' | 'promoted' | 'aborted' | 'ended';

export interface Rollout {
  readonly id: string;
  readonly predictor: string;
  /** For people: 1, 2, 3, … of its predictor. */
  readonly number: number;
  readonly kind: RolloutKind;
  readonly state: RolloutState;
  readonly salt: string;
  readonly plan: RolloutPlan;
  /** Of a canary: the place in `plan.steps`. */
  readonly step: number;
  /** When the arms were given the users that they have; null while it is being prepared. */
  readonly stepStartedAt: Date | null;
  /** Those that its predictor has beside the stable one; once it is over, as they were. */
  readonly arms: readonly RolloutArm[];
  /** Why it is in its state. */
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
  /** Whether no run can score users with its model version: it has request features without a default. */
  readonly isLiveOnly?: boolean;
  readonly generationNumber: number | null;
  readonly firstBucket: number;
  readonly endBucket: number;
}

/** Names of arms that are not an A/B test's own. */
export const STABLE = 'stable';
export const CANDIDATE = 'candidate';

export type RolloutPlan = CanaryPlan | ShadowPlan | AbPlan;

export interface CanaryPlan {
  readonly kind: 'canary';
  /** The model version's number. */
  readonly version: number;
  /** Percent of the users, rising; the last is 100, at which the version becomes the stable one. */
  readonly steps: readonly number[];
  /** Whether it is a rollback to a former stable version: one step of 100 %, from the generation that is kept of it. */
  readonly atOnce?: boolean;
  readonly coverage: Coverage;
  readonly analysis: AnalysisPlan;
}

export interface ShadowPlan {
  readonly kind: 'shadow';
  readonly version: number;
  /** The share of the users whose reads are shadowed, 0 to 1; whole users, by their bucket. */
  readonly share: number;
  /** Shadow inferences a second, of each process of the API, at most; what is beyond is not shadowed, and counted. */
  readonly maxPerSecond: number;
}

interface AbPlan {
  readonly kind: 'ab';
  /** Beside `stable`, which has the rest of 100. */
  readonly arms: readonly { readonly name: string; readonly version: number; readonly weight: number }[];
  readonly coverage: Coverage;
  readonly analysis: AnalysisPlan;
}

/**
 * What a version that has no generation does: `required`, it waits for one before anybody is served from it; `live`, its
 * users are inferred live until there is one.
 */
type Coverage = 'required' | 'live';

/** How a rollout is judged. */
export interface AnalysisPlan {
  /** Whether verdicts are acted on: a step goes on, or the rollout is taken back, by itself. */
  readonly automatic: boolean;
  /** Verdicts are written down, and nothing is done. */
  readonly dryRun: boolean;
  /** Milliseconds between two looks, and those a step lasts at least. */
  readonly intervalMs: number;
  readonly minStepMs: number;
  /** Users in each arm below whom there is no verdict but `hold`. */
  readonly minUsers: number;
  /** The probability that a harmless version is taken back, over all looks of all guardrails. */
  readonly alpha: number;
  /** Milliseconds that a step may hold, and that a rollout may be preparing; null, or absent of an earlier release: any. */
  readonly holdDeadlineMs?: number | null;
  readonly preparingDeadlineMs?: number | null;
  /** What happens after a deadline: `alert`, it is told only; `roll_back`, the rollout is aborted. */
  readonly onDeadline?: 'alert' | 'roll_back';
  readonly guardrails: Guardrails;
  /** What is counted of users after they were served. */
  readonly outcomes: readonly OutcomeMetric[];
}

/** How much worse than the stable arm the other may be before it counts as worse; null: not looked at. */
interface Guardrails {
  /** Difference of the share of reads without a prediction of the model (errors and defaults). */
  readonly errorRate: number | null;
  /** Difference of the share of reads slower than `slowMs`. */
  readonly slowShare: number | null;
  readonly slowMs: number;
  /** Difference of the share of reads that were inferred live. */
  readonly liveShare: number | null;
  /** Difference of the share of stale answers; absent of an earlier release: not looked at. */
  readonly staleShare?: number | null;
  /** Difference of the share of default answers, which `errorRate` counts too. */
  readonly defaultShare?: number | null;
  /** Population stability index between the arms' scores; null: told, and no guardrail. */
  readonly psi: number | null;
}

export interface OutcomeMetric {
  /** The outcome's name, as POST /v1/outcomes has it. */
  readonly name: string;
  /** `binary`: whether a user had one; `sum`: the sum of a user's values. */
  readonly kind: 'binary' | 'sum';
  /** Milliseconds after the first exposure in which an outcome counts. */
  readonly windowMs: number;
  readonly better: 'higher' | 'lower';
  /** Whether a rollout is taken back where it is worse; else it is told only. */
  readonly guardrail: boolean;
  /** The relative effect that is worth knowing: what "needs N more days" speaks of. */
  readonly minimumEffect: number;
}

export function isActive(state: RolloutState): boolean {
  return state === 'preparing' || state === 'running' || state === 'held';
}
