/** Port: where the sums of all processes are kept, and what stands out among the comparisons. */
import type { Segment, ShadowCounts } from './shadow-counts.ts';

/** A user whose two answers lie far apart. It is a prediction of that user, and goes with an erasure as others do. */
export interface ShadowMover {
  readonly userId: string;
  readonly served: number;
  readonly candidate: number;
  /** The label of the candidate's answer, and Postgres' clock when its features were read, ms since 1970. */
  readonly contextVersion: number;
  readonly computedAt: number;
}

/** The sums of a process so far, of everybody (null) and of each segment. */
export interface ShadowRow {
  readonly segment: Segment;
  readonly counts: ShadowCounts;
}

export interface ShadowSums {
  readonly rolloutId: string;
  readonly processId: string;
  readonly rows: readonly ShadowRow[];
  /** Those found since the last time. */
  readonly movers: readonly ShadowMover[];
}

export interface ShadowStore {
  /**
   * Puts the sums in the place of those that the process gave before. Where the rollout is not there any more, nothing is kept.
   * @returns the difference that a user's answers must exceed to be among those that are kept from now on; 0 while there is room
   */
  keep(sums: ShadowSums): Promise<number>;
}

/** Users kept of a rollout: those whose answers are furthest apart. */
export const MOST_MOVERS = 50;
