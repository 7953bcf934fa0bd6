/**
 * How many rows of a batch are run at once. Between two runs a child waits for the process that feeds it, so few large runs
 * keep it busy while that process has much to do; but a live request waits for one run at most.
 */
import type { ModelVersion } from '@tandem/freshness/predictor';

/** Chooses how many rows of a batch run together, by how fast the model was. */
export interface SliceRows {
  /** Returns the rows of the next run of a batch. */
  of(version: ModelVersion): number;
  /** Records what a run of a batch took in its child. The time of this process would count its own delays. */
  note(version: ModelVersion, rows: number, cpuMs: number): void;
}

/** Rows of a run of a model whose pace is unknown, or too slow for more rows. */
const LEAST_ROWS = 1_024;
/** Milliseconds of CPU that a run of more rows may take. */
const RUN_MS = 20;

/** @param most rows of a run */
export function createSliceRows(most = LEAST_ROWS): SliceRows {
  /** Milliseconds of CPU that a row of the latest run took. */
  const paces = new WeakMap<ModelVersion, number>();
  return {
    of(version) {
      const pace = paces.get(version) ?? Number.POSITIVE_INFINITY;
      return Math.min(most, Math.max(LEAST_ROWS, Math.floor(RUN_MS / pace)));
    },
    note(version, rows, cpuMs) {
      // Most of a short run is its fixed cost.
      if (rows >= LEAST_ROWS / 2) paces.set(version, cpuMs / rows);
    },
  };
}
