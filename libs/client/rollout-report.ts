/** What a rollout has served and what follows from it, as the service tells it. */
import type { RolloutView } from './rollouts.ts';

export interface Judgement {
  readonly verdict: 'promote' | 'hold' | 'roll_back';
  readonly reason: string;
  /** One sentence, for people. */
  readonly why: string;
  readonly checks: readonly {
    /** `traffic`, `users`, `sampleRatio`, `sources`, a guardrail's name, `outcome:<name>`, `duration`. */
    readonly name: string;
    /** Null: it is of all arms. */
    readonly arm: string | null;
    readonly guardrail: boolean;
    readonly state: 'pass' | 'fail' | 'inconclusive' | 'skipped';
    readonly figures: Readonly<Record<string, unknown>>;
    readonly why: string;
  }[];
}

export interface MeanView {
  readonly users: number;
  readonly mean: number;
}

/** An estimate and the interval that holds at every look. */
export interface EstimateView {
  readonly estimate: number;
  readonly lower: number;
  readonly upper: number;
}

export interface OutcomeComparisonView {
  readonly name: string;
  readonly variant: string;
  /** Of users whose window is over. */
  readonly stable: MeanView;
  readonly arm: MeanView;
  readonly difference: EstimateView | null;
  /** The same difference as a share of the stable mean; null where that may be 0. */
  readonly relative: EstimateView | null;
  /** Against "no difference", valid at every look. */
  readonly pValue: number;
  readonly eValue: number;
  /** Of all users so far: no test. */
  readonly sofar: { readonly stable: MeanView; readonly arm: MeanView };
  /** Until the minimum effect would be found; null where the stable mean may be 0. */
  readonly moreDays: number | null;
  readonly usersNeeded: number | null;
  readonly detectableEffect: number | null;
  /** What follows from the interval. */
  readonly conclusion: {
    /** `no_difference`: none above the minimum effect; `undecided`: neither is proven yet. */
    readonly kind: 'better' | 'worse' | 'no_difference' | 'undecided' | 'no_data';
    /** One sentence, for people. */
    readonly text: string;
  };
}

export interface RolloutReport {
  readonly rollout: RolloutView;
  /** Since the step began. */
  readonly elapsedSeconds: number;
  readonly arms: readonly {
    readonly variant: string;
    readonly users: number;
    readonly reads: number;
    readonly errors: number;
    readonly slow: number;
    readonly sources: Readonly<Record<string, number>>;
  }[];
  readonly judgement: Judgement;
  readonly outcomes: readonly OutcomeComparisonView[];
  readonly multipleExposures: number;
  readonly newUsers: readonly { readonly day: string; readonly users: number }[];
}

export interface RolloutCheck {
  readonly at: string;
  readonly step: number;
  /** Whether it moved the rollout. */
  readonly applied: boolean;
  readonly judgement: Judgement;
}
