/**
 * Decides which live requests can be served in time. By Little's law, the cost of the work under way and waiting must
 * leave a new request enough of its time. A request that would be too late is rejected at once. Running it after its
 * reader has disconnected costs as much as an answer. Under overload, a queue without this rule would soon run only such
 * requests.
 */
import type { ModelVersion } from '@tandem/freshness/predictor';

export interface LiveRoomOptions {
  /** The number of children that run models. */
  readonly slots: number;
  /** The most rows of one live run. */
  readonly maxRunRows: number;
  /** The most rows that may wait, however fast the model is. */
  readonly maxWaitingRows: number;
  /** Returns the waiting work: rows, and their cost in ms of a child. */
  waiting(): { readonly rows: number; readonly ms: number };
  readonly now: () => number;
}

/** A run in progress. */
export interface RunUnderWay {
  /** Ends the run. If it was answered, its time is used for the estimates. */
  end(wasAnswered: boolean): void;
}

export interface LiveRoom {
  /** Returns how many more rows of a version can be answered within a time in ms; at least 1 if a child is idle. */
  room(version: ModelVersion, timeoutMs: number): number;
  /** Returns the number of rows that may run together for a reader, by its total and remaining ms. */
  runRows(version: ModelVersion, timeoutMs: number, leftMs?: number): number;
  /** Returns whether waiting rows would be too late even if they ran now, by their number and their remaining ms. */
  isTooLate(version: ModelVersion, rows: number, timeoutMs: number, leftMs: number): boolean;
  /** Returns the cost of this many rows in ms of a child, in runs of the largest allowed size. */
  costMs(version: ModelVersion, rows: number, timeoutMs: number): number;
  /** Estimates the cost of a row from the warm-up runs of a model. */
  warmedUp(version: ModelVersion, runs: WarmUpRuns): void;
  /**
   * Begins a run.
   * @param live whether it is a live run, which is used for the estimates
   */
  begin(version: ModelVersion, rows: number, live: boolean): RunUnderWay;
}

/** The durations of two runs before the first reader: one of a single row, and a larger one. */
export interface WarmUpRuns {
  readonly oneMs: number;
  readonly rows: number;
  readonly ms: number;
}

/**
 * The share of a reader's time that one run may take, so that a reader that arrives during the run can still have
 * another run.
 */
const RUN_SHARE = 0.25;
/**
 * The share of a reader's time that waiting and running may take by estimate, since a run that takes 50 % longer delays
 * all requests after it. A larger share gains nothing: a queue of two runs keeps a child as busy as a queue of three.
 */
const USABLE_SHARE = 0.5;
/** The share of the remaining time of a run's first request that the run may take. */
const LEFT_SHARE = 0.9;
/**
 * The share of a reader's time for which the reader always waits, since a version that seems too slow may be faster
 * now.
 */
const HOPE_SHARE = 0.5;
/**
 * The factor by which the first request may wait longer so that others share its run. It has an effect if many rows
 * cost little more than one.
 */
const COMPANY = 1.5;

export function createLiveRoom({ slots, maxRunRows, maxWaitingRows, waiting, now }: LiveRoomOptions): LiveRoom {
  /** The costs of model versions, for as long as the registry keeps the versions. */
  const costs = new WeakMap<ModelVersion, RunCost>();
  /** The estimated end of each run in progress. */
  const ends = new Map<RunUnderWay, number>();
  /**
   * The times at which children became free while requests waited, latest last. There are at most as many entries as
   * free children.
   */
  const freed: number[] = [];

  function runRows(version: ModelVersion, timeoutMs: number, leftMs = timeoutMs): number {
    const cost = costs.get(version) ?? UNKNOWN;
    const ms = Math.min(timeoutMs * RUN_SHARE, leftMs * LEFT_SHARE);
    const rows = cost.rowsWithin(Math.max(ms, cost.ms(1) * COMPANY));
    return Math.max(1, Math.min(maxRunRows, rows));
  }

  /** Returns the milliseconds until a child is free. */
  function firstFree(): number {
    if (ends.size < slots) return 0;
    return Math.max(0, Math.min(...ends.values()) - now());
  }

  function inTime(version: ModelVersion, timeoutMs: number): number {
    const together = runRows(version, timeoutMs);
    const cost = costs.get(version) ?? UNKNOWN;
    const runMs = cost.ms(together);
    if (runMs === 0) return maxWaitingRows;
    const ms = Math.max(0, timeoutMs * USABLE_SHARE - firstFree() - waiting().ms / slots);
    const rounds = Math.floor(ms / runMs);
    return (rounds * together + Math.min(together, cost.rowsWithin(ms - rounds * runMs))) * slots;
  }

  return {
    room(version, timeoutMs) {
      const { rows } = waiting();
      // If children are free now, no request needs them: the waiting requests were run together, or their callers have disconnected.
      if (rows === 0) freed.length = 0;
      // There is room for at least one row, however slow the version seems, since only a run can show that it is faster
      // now.
      const least = rows === 0 && ends.size < slots ? 1 : 0;
      return Math.max(least, Math.min(maxWaitingRows - rows, inTime(version, timeoutMs)));
    },
    runRows,
    isTooLate(version, rows, timeoutMs, leftMs) {
      const cost = costs.get(version) ?? UNKNOWN;
      return leftMs < timeoutMs * (1 - HOPE_SHARE) && leftMs * LEFT_SHARE < cost.ms(rows);
    },
    costMs(version, rows, timeoutMs) {
      const together = Math.max(rows, runRows(version, timeoutMs));
      return ((costs.get(version) ?? UNKNOWN).ms(together) * rows) / together;
    },
    warmedUp: (version, runs) => costOf(version).warmedUp(runs),
    begin(version, rows, live) {
      const started = now();
      const betweenMs = started - (freed.pop() ?? started);
      const run: RunUnderWay = {
        end(wasAnswered) {
          if (!ends.delete(run) || !wasAnswered) return;
          const ranMs = now() - started;
          if (waiting().rows > 0) freed.push(now());
          // If the process that feeds the children is busy, its time lies between two runs, and requests wait for it
          // too. If the gap is longer than the run, the process was not busy: the waiting requests had gone.
          if (live) costOf(version).observe(rows, ranMs + (betweenMs <= ranMs ? betweenMs : 0));
        },
      };
      ends.set(run, started + (costs.get(version)?.ms(rows) ?? 0));
      return run;
    },
  };

  function costOf(version: ModelVersion): RunCost {
    const known = costs.get(version);
    if (known) return known;
    const cost = createRunCost();
    costs.set(version, cost);
    return cost;
  }
}

/**
 * The duration of a model version's runs, learned from its runs: a cost for each run and a cost for each row. The
 * batcher uses them to limit the rows that run together and the rows that wait, so that all are in time.
 *
 * It is a least-squares line through the latest runs, with decaying weights. Runs of a single size define no line. Then
 * the cost of a row is the one from earlier runs of several sizes, or from the warm-up. Otherwise, after many reads of
 * one user, no run would be large enough for a ranking. Without either, the whole time of a run counts for its rows.
 * That is correct for models with a high cost for each row, and conservative for others.
 */
interface RunCost {
  /** Returns the expected milliseconds of a run, by its rows. */
  ms(rows: number): number;
  /**
   * Returns the rows of the largest run that is likely to end within this time, and is not much larger than earlier
   * runs; 0 for none.
   */
  rowsWithin(ms: number): number;
  warmedUp(runs: WarmUpRuns): void;
  /**
   * Records the duration of a run.
   * @param ms the time from the start of the run to its answer
   */
  observe(rows: number, ms: number): void;
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

export function createRunCost(): RunCost {
  const sums = { runs: 0, rows: 0, squares: 0, ms: 0, products: 0 };
  let largest = FIRST_ROWS / REACH;
  let [fixed, slope] = [0, 0];
  /** The cost of a row: from the warm-up, later from the latest runs of several sizes. */
  let steepness = Number.POSITIVE_INFINITY;
  /** The most milliseconds of a run by the warm-up, while only the warm-up gives the cost of a row. */
  let mostByWarmUp: ((rows: number) => number) | null = null;

  function fit(): void {
    const [rows, ms] = [sums.rows / sums.runs, sums.ms / sums.runs];
    const spread = sums.squares / sums.runs - rows ** 2;
    const perRow = ms / rows;
    if (spread > LEAST_SPREAD * rows ** 2) {
      steepness = (sums.products / sums.runs - rows * ms) / spread;
      mostByWarmUp = null;
    } else if (mostByWarmUp !== null && ms > mostByWarmUp(rows)) {
      // The rows of readers cost more than those of the warm-up, which then says nothing about them.
      steepness = Number.POSITIVE_INFINITY;
      mostByWarmUp = null;
    }
    slope = Math.min(perRow, Math.max(0, steepness));
    fixed = ms - slope * rows;
  }

  const expected = (rows: number) => fixed + slope * rows;
  return {
    ms: expected,
    rowsWithin(ms) {
      const reach = sums.runs === 0 ? FIRST_ROWS : Math.ceil(largest * REACH);
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
      largest = Math.max(rows, largest);
      fit();
    },
    warmedUp({ oneMs, rows, ms }) {
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

/** The cost of a version without any run. */
const UNKNOWN = createRunCost();
