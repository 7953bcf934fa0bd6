/**
 * A history of reads with outcomes, from which `tandem value` tells what each way of serving would have answered. Per user:
 * the features as they were from a moment on, the events that concern the predictor, and the reads. Times are in ms since
 * 1970. The file form is described in docs/value.md.
 */

/** The outcome of a read: 0 or 1; or, if the answer is a list, the item that the user chose. */
export type Outcome = number | string;

/** A step of a user's history, in order of time; steps of one moment are in the order of their occurrence. */
export type Step =
  /** The features from here on: a row of `contexts`; null: not known. */
  | { readonly kind: 'context'; readonly at: number; readonly context: number | null }
  | { readonly kind: 'event'; readonly at: number }
  /** A row of `reads`. */
  | { readonly kind: 'read'; readonly at: number; readonly read: number };

export type FeatureRow = readonly (number | string | null)[];

export interface ValueHistory {
  readonly predictor: string;
  /** Runs are counted from here; the history ends before `to`. */
  readonly from: number;
  readonly to: number;
  /** Users that a run scores, with those that are never read. */
  readonly users: number;
  readonly simulated: boolean;
  /** The steps of each user; the position is the user's number. */
  readonly timelines: readonly (readonly Step[])[];
  readonly contexts: readonly FeatureRow[];
  readonly reads: readonly { readonly user: number; readonly outcome: Outcome }[];
}
