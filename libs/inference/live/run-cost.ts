/**
 * What a run of a model version takes, learned from its runs: a part that each run costs and a part for each row. From
 * these the batcher knows how many rows may be run together, and how many may wait, so that all of them come in time.
 *
 * A line through the latest runs by least squares, older ones counting ever less. Between runs of one size there is no
 * line to be drawn: then a run's time is taken to be its rows' alone, which is true of the slowest to mend, and wrong on
 * the safe side of the others.
 */
export interface RunCost {
  /** Milliseconds that a run of so many rows is likely to take. */
  ms(rows: number): number;
  /** Rows of the largest run that is likely to be over in that time, and that is not far beyond what was ever run; 0: none. */
  rowsWithin(ms: number): number;
  /** @param ms from when the run was handed over until its answer was there */
  observe(rows: number, ms: number): void;
}

/** What the runs before the latest weigh, each against the next: about twenty are remembered. */
const MEMORY = 0.95;
/** Rows of the first run of a version of which nothing is known yet. */
const FIRST_ROWS = 16;
/** A run may be so many times as large as the largest of late: the line says little of what lies far beyond. */
const REACH = 2;
/** A run that takes this many times as long as was expected was held up by something else: no more is believed of it. */
const MOST_SURPRISE = 4;
const SURPRISE_MS = 5;
/** Below this share of the mean, squared, sizes differ too little to tell what a row costs. */
const LEAST_SPREAD = 0.01;

/** What sums of fractions may be wrong by, in rows. */
const ROUNDING = 1e-6;

export function createRunCost(): RunCost {
  const sums = { runs: 0, rows: 0, squares: 0, ms: 0, products: 0 };
  let largest = FIRST_ROWS / REACH;
  let [fixed, slope] = [0, 0];

  function fit(): void {
    const [rows, ms] = [sums.rows / sums.runs, sums.ms / sums.runs];
    const spread = sums.squares / sums.runs - rows ** 2;
    const perRow = ms / rows;
    const steepness = spread > LEAST_SPREAD * rows ** 2 ? (sums.products / sums.runs - rows * ms) / spread : perRow;
    slope = Math.min(perRow, Math.max(0, steepness));
    fixed = ms - slope * rows;
  }

  const expected = (rows: number) => fixed + slope * rows;
  return {
    ms: expected,
    rowsWithin(ms) {
      const reach = Math.ceil(largest * REACH);
      if (fixed > ms) return 0;
      return slope === 0 ? reach : Math.min(reach, Math.floor((ms - fixed) / slope + ROUNDING));
    },
    observe(rows, took) {
      const ms = sums.runs === 0 ? took : Math.min(took, MOST_SURPRISE * expected(rows) + SURPRISE_MS);
      sums.runs = sums.runs * MEMORY + 1;
      sums.rows = sums.rows * MEMORY + rows;
      sums.squares = sums.squares * MEMORY + rows ** 2;
      sums.ms = sums.ms * MEMORY + ms;
      sums.products = sums.products * MEMORY + rows * ms;
      largest = Math.max(rows, largest * MEMORY, FIRST_ROWS / REACH);
      fit();
    },
  };
}
