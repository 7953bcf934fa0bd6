/**
 * How many rows of a batch are run at once. Between two runs a child waits for the process that feeds it, so few large runs
 * keep it busy while that process has much to do; but a live request waits for one run at most.
 */
import type { ModelVersion } from '@tandem/freshness/predictor';

export interface SliceRows {
  of(version: ModelVersion): number;
  /** A run of a batch is over. */
  note(version: ModelVersion, rows: number, ms: number): void;
}

/** Of a model of which it is not known how fast it is, and of one that takes longer for them. */
const LEAST_ROWS = 1_024;
/** Milliseconds that a larger run may take. */
const RUN_MS = 20;

/** @param most rows of a run */
export function createSliceRows(most = LEAST_ROWS): SliceRows {
  /** Milliseconds that a row of the latest run took. */
  const paces = new WeakMap<ModelVersion, number>();
  return {
    of(version) {
      const pace = paces.get(version) ?? Number.POSITIVE_INFINITY;
      return Math.min(most, Math.max(LEAST_ROWS, Math.floor(RUN_MS / pace)));
    },
    note: (version, rows, ms) => void paces.set(version, ms / rows),
  };
}
