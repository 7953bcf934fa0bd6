/** What comparing a generation with the one that was served then found, as the wire has it. */

/** Users of everybody, or of one segment. */
export interface CoverageView {
  readonly before: number;
  readonly now: number;
  readonly both: number;
  readonly added: number;
  readonly gone: number;
}

/** Of an output with one number a user; deltas are now minus before, of users in both generations. */
export interface OutputShiftView {
  /** Population stability index of its distribution. */
  readonly psi: number;
  readonly meanBefore: number;
  readonly meanNow: number;
  readonly meanDelta: number;
  readonly meanAbsoluteDelta: number;
  readonly p50AbsoluteDelta: number;
  readonly p99AbsoluteDelta: number;
  readonly largestDelta: number;
  /** Share of users with any delta. */
  readonly changed: number;
}

/** Users whose decision is another: `up` reach the threshold now, `down` no longer. */
export interface FlipsView {
  readonly up: number;
  readonly down: number;
  readonly rate: number;
}

export interface SegmentValueView {
  /** null: users without a value, or all that have others. */
  readonly value: string | null;
  readonly users: CoverageView;
  /** Of the decision's output, else of the first with one number. */
  readonly shift: OutputShiftView | null;
  readonly flips: FlipsView | null;
}

export interface ReportFiguresView {
  readonly users: CoverageView;
  readonly outputs: readonly (OutputShiftView & { readonly name: string })[];
  /** Texts and vectors: the share of users whose answer is another. */
  readonly answers: readonly { readonly name: string; readonly changed: number }[];
  readonly decision: (FlipsView & { readonly output: string; readonly threshold: number }) | null;
  readonly segments: readonly {
    readonly column: string;
    readonly values: readonly SegmentValueView[];
    readonly others: SegmentValueView | null;
  }[];
}

export interface GenerationReportView {
  readonly predictor: string;
  readonly generation: string;
  /** The generation that it was compared with; null: with none. */
  readonly against: string | null;
  /** `blocked`: held back, until somebody approves of it. */
  readonly verdict: 'passed' | 'blocked' | 'not_compared';
  readonly madeAt: string;
  readonly tookMs: number;
  /** null: not compared; `notes` say why. */
  readonly figures: ReportFiguresView | null;
  /** Thresholds that the figures are beyond. */
  readonly crossings: readonly {
    readonly setting: 'maxPsi' | 'maxFlipRate' | 'maxMeanDelta' | 'minCoverage';
    readonly output: string | null;
    readonly value: number;
    readonly limit: number;
  }[];
  /** What was not compared or not judged, and why. */
  readonly notes: readonly string[];
  /** Whose output moved furthest, without who was erased since. */
  readonly movers: readonly {
    readonly userId: string;
    readonly before: number;
    readonly now: number;
    readonly delta: number;
  }[];
}
