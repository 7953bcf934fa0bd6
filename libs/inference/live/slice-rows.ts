/**
 * Decides how many rows of a batch are run at once. Between two runs a child waits for the process that feeds it, so a
 * few large runs keep the child busy while that process has other work. But a live request may wait for one run.
 */
import type { ModelVersion } from '@tandem/freshness/predictor';

/** The rows of a run if the model's speed is unknown, or too low for more rows. */
const LEAST_ROWS = 1_024;
/** The most milliseconds of CPU of a larger run. */
const RUN_MS = 20;

/** Chooses how many rows of a batch run together, by the speed of the model. */
export type SliceRows = ReturnType<typeof createSliceRows>;

/**
 * Creates the choice of rows.
 * @param most the most rows of a run
 */
export function createSliceRows(most = LEAST_ROWS) {
  /** The milliseconds of CPU of a row in the latest run, by version. */
  const paces = new WeakMap<ModelVersion, number>();
  return {
    /** Returns the rows of the next run of a batch. */
    of(version: ModelVersion): number {
      const pace = paces.get(version) ?? Number.POSITIVE_INFINITY;
      return Math.min(most, Math.max(LEAST_ROWS, Math.floor(RUN_MS / pace)));
    },
    /** Records the CPU time of a batch run in its child. Time measured in this process would include its own delays. */
    note(version: ModelVersion, rows: number, cpuMs: number): void {
      // A short run consists mostly of its fixed cost.
      if (rows >= LEAST_ROWS / 2) paces.set(version, cpuMs / rows);
    },
  };
}
