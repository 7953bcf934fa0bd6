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

/** For the description of the API, and for tests of what shows it. */
export const SHADOW_REPORT_EXAMPLE: ShadowReport = {
  rolloutId: '0199b5d4-6f0e-7c3a-9d6e-0d4a6f3f2b12',
  predictor: 'repurchase',
  state: 'running',
  modelVersion: '3',
  share: 0.25,
  processes: 2,
  updatedAt: '2026-11-24T09:12:05.000Z',
  decision: { output: 'score', threshold: 0.5 },
  outcomes: { compared: 4000, context_differs: 12, repeated: 9120, over_rate: 310, failed: 2 },
  everybody: {
    ...{ compared: 4000, differentShare: 0.98, meanDelta: -0.004, deviation: 0.031, largestDelta: 0.41 },
    deltas: [
      { from: -0.05, to: -0.02, answers: 700 },
      { from: -0.001, to: 0.001, answers: 2500 },
      { from: 0.02, to: 0.05, answers: 800 },
    ],
    flips: { up: 12, down: 28, rate: 0.01, interval: { low: 0.0074, high: 0.0136 } },
  },
  segments: [
    {
      ...{ feature: 'country', value: 'DE', compared: 1400, differentShare: 0.99, meanDelta: 0.001 },
      ...{ deviation: 0.02, largestDelta: 0.2, deltas: [{ from: -0.001, to: 0.001, answers: 1400 }] },
      flips: { up: 3, down: 4, rate: 0.005, interval: { low: 0.0024, high: 0.0103 } },
    },
  ],
  joint: null,
  servedAgeSeconds: 25_920,
  movers: [{ userId: '42', served: 0.31, candidate: 0.72, contextVersion: 5, computedAt: '2026-11-24T09:11:58.120Z' }],
  candidate: {
    featuresMs: [{ toMs: 5, users: 4014 }],
    runMs: [{ toMs: 2, users: 4012 }],
    ...{ usersRun: 4012, cpuMsPerThousand: 3.1, processesEnded: 0 },
  },
};
