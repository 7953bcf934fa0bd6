/** What the candidate of a shadow would have answered beside what was served, as the wire has it. */

export interface ShadowReport {
  readonly rolloutId: string;
  readonly predictor: string;
  readonly state: string;
  /** The candidate's. */
  readonly modelVersion: string;
  readonly share: number;
  /** Processes of the API that have told what they found. */
  readonly processes: number;
  /** When one of them did last; null: none has. */
  readonly updatedAt: string | null;
  /** What the predictor decides by; null: nothing is declared. */
  readonly decision: { readonly output: string; readonly threshold: number } | null;
  /** Served answers of users who are shadowed, by what became of them: `compared`, or why not. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly everybody: ShadowComparisons;
  /** Users by the values of declared features; `value` null: those of all further values. */
  readonly segments: readonly (ShadowComparisons & { readonly feature: string; readonly value: string | null })[];
  /** Scores of 0 to 1 in classes of equal width: for each class of served scores, the candidate's. */
  readonly joint: readonly (readonly number[])[] | null;
  /** The mean age of compared answers when they were served. */
  readonly servedAgeSeconds: number | null;
  /** Those whose answers lie furthest apart, the furthest first. */
  readonly movers: readonly ShadowMover[];
  readonly candidate: ShadowedCandidate;
}

export interface ShadowComparisons {
  readonly compared: number;
  /** The share of answers that differ at all. */
  readonly differentShare: number | null;
  /** Of candidate minus served. */
  readonly meanDelta: number | null;
  readonly deviation: number | null;
  readonly largestDelta: number | null;
  /** Classes of differences, from the most negative one; null: without a bound. */
  readonly deltas: readonly { readonly from: number | null; readonly to: number | null; readonly answers: number }[];
  /** Decisions that the candidate would have made otherwise; null where no threshold is declared. */
  readonly flips: {
    readonly up: number;
    readonly down: number;
    readonly rate: number | null;
    /** Of the rate, at 95 %. */
    readonly interval: { readonly low: number; readonly high: number };
  } | null;
}

export interface ShadowMover {
  readonly userId: string;
  readonly served: number;
  readonly candidate: number;
  readonly contextVersion: number;
  readonly computedAt: string;
}

export interface ShadowedCandidate {
  /** Users by the time of the statement that read their features, and of the run that scored them. */
  readonly featuresMs: readonly { readonly toMs: number | null; readonly users: number }[];
  readonly runMs: readonly { readonly toMs: number | null; readonly users: number }[];
  readonly usersRun: number;
  readonly cpuMsPerThousand: number | null;
  readonly processesEnded: number;
}
