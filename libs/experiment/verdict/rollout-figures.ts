/**
 * The inputs and results of judging a rollout: the figures of one step, the rules of its plan, the checks.
 *
 * The unit is the user. The judged figures count users in the place of reads (judgedFiguresOf in libs/prediction): each
 * user weighs 1, split over their own reads. The tests treat such a share of a user as that part of a yes-or-no answer.
 * This is conservative: of all values between 0 and 1 with one mean, yes-or-no answers vary most.
 */
import type { ArmSample } from '../sequential/effect.ts';

/** Figures of one step of a rollout since its beginning. */
export interface RolloutFigures {
  /** Milliseconds since the step began. */
  readonly elapsedMs: number;
  /** How many steps of the plan compare arms: alpha is split over them. 1 without steps. */
  readonly steps: number;
  readonly stable: ArmFigures;
  /** The candidate, or the arms of an A/B test. */
  readonly arms: readonly ArmFigures[];
}

export interface ArmFigures {
  readonly name: string;
  /** Its share of the users, in a unit common to all arms: the buckets of its interval. */
  readonly weight: number;
  /** Different users that the arm has served since the step began, without users assigned by hand. */
  readonly users: number;
  readonly reads: number;
  /** Reads without a prediction of the model. */
  readonly errors: number;
  /** Reads slower than the plan's `slowMs`. */
  readonly slow: number;
  /** Reads by the answers' source, `live` among them. */
  readonly sources: Readonly<Record<string, number>>;
  /** Reads by class of the score; empty where scores are not counted. */
  readonly scores: readonly number[];
  /** Samples by the outcome's name, over the users whose window is over. */
  readonly outcomes: Readonly<Record<string, ArmSample>>;
}

/** The parts of a plan that judging needs. */
export interface JudgingRules {
  readonly minStepMs: number;
  /** Of each arm: with fewer there is no verdict but `hold`. Less than 20 counts as 20. */
  readonly minUsers: number;
  /** The probability that a harmless version is rolled back, over all looks of all guardrails. */
  readonly alpha: number;
  /**
   * How much worse than stable is worse, as a difference of shares (of `psi`, the index); null: not checked (`psi`:
   * only reported).
   */
  readonly guardrails: {
    readonly errorRate: number | null;
    readonly slowShare: number | null;
    readonly liveShare: number | null;
    /** Absent in plans of an earlier release, like every optional field here: not checked. */
    readonly staleShare?: number | null;
    readonly defaultShare?: number | null;
    readonly psi: number | null;
  };
  /** Milliseconds in a step after which `hold` is overdue; null: never. */
  readonly holdDeadlineMs?: number | null;
  /** Whether an overdue `hold` only raises an alert, or rolls back. */
  readonly onDeadline?: 'alert' | 'roll_back';
  readonly outcomes: readonly OutcomeRule[];
}

export interface OutcomeRule {
  readonly name: string;
  readonly kind: 'binary' | 'sum';
  readonly better: 'higher' | 'lower';
  /** Whether it rolls a rollout back; else it is only reported. */
  readonly guardrail: boolean;
  /** Relative: a loss smaller than this does not prevent a promotion. */
  readonly minimumEffect: number;
}

/** `fail` of a guardrail: proven worse. `inconclusive`: neither that nor its opposite is proven yet. */
export type CheckState = 'pass' | 'fail' | 'inconclusive' | 'skipped';

export interface Check {
  /** `traffic`, `users`, `sampleRatio`, `sources`, a guardrail's name, `outcome:<name>`, `duration`. */
  readonly name: string;
  /** The arm that it compares with the stable one; null: it is of all. */
  readonly arm: string | null;
  /** Whether a `fail` aborts the rollout, and any result but `pass` or `skipped` holds it. */
  readonly guardrail: boolean;
  readonly state: CheckState;
  readonly figures: CheckFigures;
  /** One sentence, for people. */
  readonly why: string;
}

interface CheckFigures {
  /** Users counted, by arm. */
  readonly users: Readonly<Record<string, number>>;
  /** Measured values, by arm: a share from 0 to 1, a mean, milliseconds. */
  readonly values?: Readonly<Record<string, number>>;
  /** The difference arm − stable, or the index; bounds hold at all looks together. */
  readonly estimate?: number;
  readonly lower?: number;
  readonly upper?: number;
  readonly margin?: number;
  /** Evidence against "harmless". */
  readonly worse?: Evidence;
  /** Evidence against "worse than the margin". */
  readonly notWorse?: Evidence;
}

/** An e-value, and what it must reach to prove something. */
export interface Evidence {
  readonly eValue: number;
  readonly needed: number;
  /** Valid at every look. */
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
  // Not of judgeRollout: there was nothing to judge.
  | 'look_failed';

export interface Judgement {
  readonly verdict: Verdict;
  readonly reason: VerdictReason;
  /** One sentence, for people. */
  readonly why: string;
  readonly checks: readonly Check[];
}
