/**
 * The duration of a model version's runs, learned from its runs: a cost for each run and a cost for each row. The
 * batcher uses them to limit the rows that run together and the rows that wait, so that all are in time.
 *
 * It is a least-squares line through the latest runs, with decaying weights. Runs of a single size define no line. Then
 * the cost of a row is the one from earlier runs of several sizes, or from the warm-up. Otherwise, after many reads of
 * one user, no run would be large enough for a ranking. The warm-up is not used while the runs of readers take much
 * longer: the time of some models depends on their inputs, and those of the warm-up are made up. Without a cost of a
 * row, the whole time of a run counts for its rows. That is correct for models with a high cost for each row, and
 * conservative for others.
 */

/** The durations of two runs before the first reader: one of a single row, and a larger one. */
export interface WarmUpRuns {
  readonly oneMs: number;
  readonly rows: number;
  readonly ms: number;
}

/** The weight of a run relative to the next, so that about twenty runs are remembered. */
const MEMORY = 0.95;
/** The rows of the first run of an unknown version. */
const FIRST_ROWS = 16;
/** A run may be this many times as large as the largest so far: the fitted line is unreliable far beyond. */
const REACH = 2;
/** The cap of a run's time, as a multiple of the expected time. A longer run was delayed by other work. */
const MOST_SURPRISE = 4;
const SURPRISE_MS = 5;
/**
 * If the variance of the sizes is below this share of their squared mean, they differ too little to estimate the cost
 * of a row.
 */
const LEAST_SPREAD = 0.01;

/** The rounding error of sums of fractions, in rows. */
const ROUNDING = 1e-6;

/** The estimates for the runs of a version. */
export type RunCost = ReturnType<typeof createRunCost>;

export function createRunCost() {
  const sums = { runs: 0, rows: 0, squares: 0, ms: 0, products: 0 };
  let largest = FIRST_ROWS / REACH;
  let [fixed, slope] = [0, 0];
  /** The cost of a row: from the warm-up, later from the latest runs of several sizes. */
  let steepness = Number.POSITIVE_INFINITY;
  /**
   * Returns the most milliseconds of a run that agree with the warm-up; null if the warm-up does not give the cost of a
   * row.
   */
  let mostByWarmUp: ((rows: number) => number) | null = null;

  function fit(): void {
    const [rows, ms] = [sums.rows / sums.runs, sums.ms / sums.runs];
    const spread = sums.squares / sums.runs - rows ** 2;
    const perRow = ms / rows;
    if (spread > LEAST_SPREAD * rows ** 2) {
      steepness = (sums.products / sums.runs - rows * ms) / spread;
      mostByWarmUp = null;
    }
    const isContradicted = mostByWarmUp !== null && ms > mostByWarmUp(rows);
    slope = isContradicted ? perRow : Math.min(perRow, Math.max(0, steepness));
    fixed = ms - slope * rows;
  }

  const expected = (rows: number) => fixed + slope * rows;
  return {
    /** Returns the expected milliseconds of a run, by its rows. */
    ms: expected,
    /**
     * Returns the rows of the largest run that is likely to end within this time, and is not much larger than earlier
     * runs; 0 for none.
     */
    rowsWithin(ms: number): number {
      const reach = sums.runs === 0 ? FIRST_ROWS : Math.ceil(largest * REACH);
      if (fixed > ms) return 0;
      return slope === 0 ? reach : Math.min(reach, Math.floor((ms - fixed) / slope + ROUNDING));
    },
    /**
     * Records the duration of a run.
     * @param took the ms from the start of the run to its answer
     */
    observe(rows: number, took: number): void {
      const ms = sums.runs === 0 ? took : Math.min(took, MOST_SURPRISE * expected(rows) + SURPRISE_MS);
      sums.runs = sums.runs * MEMORY + 1;
      sums.rows = sums.rows * MEMORY + rows;
      sums.squares = sums.squares * MEMORY + rows ** 2;
      sums.ms = sums.ms * MEMORY + ms;
      sums.products = sums.products * MEMORY + rows * ms;
      largest = Math.max(rows, largest);
      fit();
    },
    warmedUp({ oneMs, rows, ms }: WarmUpRuns): void {
      if (sums.runs > 0) return;
      const perRow = (ms - oneMs) / (rows - 1);
      // There is one run of each size, while models are loaded. A single delayed row would make all other rows seem
      // free.
      if (perRow > 0) {
        steepness = perRow;
        mostByWarmUp = (size) => MOST_SURPRISE * (oneMs + perRow * (size - 1)) + SURPRISE_MS;
      }
      largest = Math.max(rows, largest);
    },
  };
}
