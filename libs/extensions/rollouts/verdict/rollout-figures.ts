/**
 * The inputs and results of judging a rollout: the figures of one step, the rules of its plan, the checks.
 *
 * The unit is the user. The judged figures count users instead of reads (judgedFiguresOf in libs/prediction): each user
 * has the weight 1, divided over the user's reads. The tests treat such a share of a user as that part of a yes-or-no
 * value. This is conservative: of all values between 0 and 1 with the same mean, yes-or-no values vary most.
 */
import type { ArmSample } from '../sequential/effect.ts';

/** Figures of one step of a rollout since its beginning. */
export interface RolloutFigures {
  /** Milliseconds since the step began. */
  readonly elapsedMs: number;
  /** The number of steps of the plan that compare arms, over which alpha is split; 1 without steps. */
  readonly steps: number;
  readonly stable: ArmFigures;
  /** The candidate, or the arms of an A/B test. */
  readonly arms: readonly ArmFigures[];
}

export interface ArmFigures {
  readonly name: string;
  /** The arm's share of the users, in a unit common to all arms: the buckets of the arm's interval. */
  readonly weight: number;
  /**
   * The number of distinct users that the arm has served since the step began, without users that were assigned
   * manually.
   */
  readonly users: number;
  readonly reads: number;
  /** The number of reads without a prediction of the model. */
  readonly errors: number;
  /** The number of reads slower than the plan's `slowMs`. */
  readonly slow: number;
  /** Reads by the source of the answer, including `live`. */
  readonly sources: Readonly<Record<string, number>>;
  /** Reads by class of the score; empty if scores are not counted. */
  readonly scores: readonly number[];
  /** Samples by the outcome's name, over the users with an ended window. */
  readonly outcomes: Readonly<Record<string, ArmSample>>;
}

/** The parts of a plan that judging needs. */
export interface JudgingRules {
  readonly minStepMs: number;
  /** The least number of users in each arm. With fewer, the verdict is `hold`. A value below 20 counts as 20. */
  readonly minUsers: number;
  /** The probability that a harmless version is rolled back, over all looks of all guardrails. */
  readonly alpha: number;
  /**
   * The margin above which an arm is worse than stable, as a difference of shares (for `psi`, the index); null if it is
   * not checked (`psi`: only reported).
   */
  readonly guardrails: {
    readonly errorRate: number | null;
    readonly slowShare: number | null;
    readonly liveShare: number | null;
    /** An absent margin is not checked. Plans of earlier releases do not have the optional fields. */
    readonly staleShare?: number | null;
    readonly defaultShare?: number | null;
    readonly psi: number | null;
  };
  /** Milliseconds in a step after which `hold` is overdue; null for never. */
  readonly holdDeadlineMs?: number | null;
  /** The effect of an overdue `hold`: only an alert, or a rollback. */
  readonly onDeadline?: 'alert' | 'roll_back';
  readonly outcomes: readonly OutcomeRule[];
}

export interface OutcomeRule {
  readonly name: string;
  readonly kind: 'binary' | 'sum';
  readonly better: 'higher' | 'lower';
  /** Whether the outcome can roll back a rollout. Otherwise it is only reported. */
  readonly guardrail: boolean;
  /** The relative loss below which an outcome does not prevent a promotion. */
  readonly minimumEffect: number;
  /** The limit of the amount of a user's sum, which the samples respect; null, or absent in older plans: no limit. */
  readonly cap?: number | null;
}

/**
 * The state of a check. A guardrail fails if it is proven worse, and is `inconclusive` if neither that nor the opposite
 * is proven yet.
 */
export type CheckState = 'pass' | 'fail' | 'inconclusive' | 'skipped';

export interface Check {
  /** The name: `traffic`, `users`, `sampleRatio`, `sources`, a guardrail's name, `outcome:<name>` or `duration`. */
  readonly name: string;
  /** The arm that is compared with stable; null if the check covers all arms. */
  readonly arm: string | null;
  /** Whether `fail` aborts the rollout, and any other state except `pass` and `skipped` holds it. */
  readonly guardrail: boolean;
  readonly state: CheckState;
  readonly figures: CheckFigures;
  /** The result in one sentence. */
  readonly why: string;
}
interface CheckFigures {
  /** Users counted, by arm. */
  readonly users: Readonly<Record<string, number>>;
  /** Measured values, by arm: a share from 0 to 1, a mean, milliseconds. */
  readonly values?: Readonly<Record<string, number>>;
  /** The difference arm − stable, or the index. The bounds are valid at all looks together. */
  readonly estimate?: number;
  readonly lower?: number;
  readonly upper?: number;
  readonly margin?: number;
  /** Evidence against "harmless". */
  readonly worse?: Evidence;
  /** Evidence against "worse than the margin". */
  readonly notWorse?: Evidence;
}

/** An e-value, and the value that it must reach for a proof. */
export interface Evidence {
  readonly eValue: number;
  readonly needed: number;
  /** The p-value of the evidence, valid at every look. */
  readonly pValue: number;
}

export type Verdict = 'promote' | 'hold' | 'roll_back';

export type VerdictReason =
  | 'no_traffic'
  | 'too_few_users'
  | 'sample_ratio'
  | 'guardrail_worse'
  | 'sources_differ'
  | 'inconclusive'
  | 'step_too_short'
  | 'hold_deadline'
  | 'not_worse'
  // `judgeRollout` does not return this state, which means that there was nothing to judge.
  | 'look_failed';

export interface Judgement {
  readonly verdict: Verdict;
  readonly reason: VerdictReason;
  /** One sentence, for people. */
  readonly why: string;
  readonly checks: readonly Check[];
}
