/**
 * A history of reads with outcomes, from which `tandem value` computes what each serving policy would have answered.
 * For each user it has the features over time, the events that concern the predictor, and the reads. Times are in ms
 * since 1970. docs/value.md describes the file format.
 */

/** The outcome of a read: 0 or 1; or, if the answer is a list, the item that the user chose. */
export type KnownOutcome = number | string;

/** The outcome of a read; null if it is unknown. */
export type Outcome = KnownOutcome | null;

/**
 * A step of a user's history. Steps are in the order of time; steps at the same time are in the order of their
 * occurrence.
 */
export type Step =
  /** The features from this step on: a row of `contexts`; null if unknown. */
  | { readonly kind: 'context'; readonly at: number; readonly context: number | null }
  | { readonly kind: 'event'; readonly at: number }
  /** A read: a row of `reads`. */
  | { readonly kind: 'read'; readonly at: number; readonly read: number };

export type FeatureRow = readonly (number | string | null)[];

export interface ValueHistory {
  readonly predictor: string;
  /** The time from which runs are counted. The history ends before `to`. */
  readonly from: number;
  readonly to: number;
  /** The number of users that a run scores, including users that are never read. */
  readonly users: number;
  readonly simulated: boolean;
  /** The steps of each user; the position is the user's number. */
  readonly timelines: readonly (readonly Step[])[];
  readonly contexts: readonly FeatureRow[];
  readonly reads: readonly { readonly user: number; readonly outcome: Outcome }[];
}
