/**
 * Decides which live requests can be served in time. By Little's law, the cost of the work under way and waiting must
 * leave a new request enough of its time. A request that would be too late is rejected at once. Running it after its
 * reader has disconnected costs as much as an answer. Under overload, a queue without this rule would soon run only such
 * requests.
 */
import type { ModelVersion } from '@tandem/freshness/predictor';
import { createRunCost, type RunCost, type WarmUpRuns } from './run-cost.ts';

export interface LiveRoomOptions {
  /** The number of children that run models. */
  readonly slots: number;
  /** Returns the most rows of one live run of a version. */
  maxRunRows(version: ModelVersion): number;
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

/** The room for live requests of one pool. */
export class LiveRoom {
  readonly #options: LiveRoomOptions;
  /** The costs of model versions, for as long as the registry keeps the versions. */
  readonly #costs = new WeakMap<ModelVersion, RunCost>();
  /** The estimated end of each run in progress. */
  readonly #ends = new Map<RunUnderWay, number>();
  /**
   * The times at which children became free while requests waited, latest last. There are at most as many entries as
   * free children.
   */
  readonly #freed: number[] = [];

  constructor(options: LiveRoomOptions) {
    this.#options = options;
  }

  /** Returns how many more rows of a version can be answered within a time in ms; at least 1 if a child is idle. */
  room(version: ModelVersion, timeoutMs: number): number {
    const { slots, maxWaitingRows, waiting } = this.#options;
    const { rows, ms } = waiting();
    // If children are free now, no request needs them: the waiting requests were run together, or their callers have disconnected.
    if (rows === 0) this.#freed.length = 0;
    // There is room for at least one row, however slow the version seems, since only a run can show that it is faster
    // now.
    const least = rows === 0 && this.#ends.size < slots ? 1 : 0;
    return Math.max(least, Math.min(maxWaitingRows - rows, this.#inTime(version, timeoutMs, ms)));
  }

  /** Returns the number of rows that may run together for a reader, by its total and remaining ms. */
  runRows(version: ModelVersion, timeoutMs: number, leftMs = timeoutMs): number {
    const cost = this.#cost(version);
    const ms = Math.min(timeoutMs * RUN_SHARE, leftMs * LEFT_SHARE);
    const rows = cost.rowsWithin(Math.max(ms, cost.ms(1) * COMPANY));
    return Math.max(1, Math.min(this.#options.maxRunRows(version), rows));
  }

  /** Returns whether waiting rows would be too late even if they ran now, by their number and their remaining ms. */
  isTooLate(version: ModelVersion, rows: number, timeoutMs: number, leftMs: number): boolean {
    return leftMs < timeoutMs * (1 - HOPE_SHARE) && leftMs * LEFT_SHARE < this.#cost(version).ms(rows);
  }

  /** Returns the cost of this many rows in ms of a child, in runs of the largest allowed size. */
  costMs(version: ModelVersion, rows: number, timeoutMs: number): number {
    const together = Math.max(rows, this.runRows(version, timeoutMs));
    return (this.#cost(version).ms(together) * rows) / together;
  }

  /** Estimates the cost of a row from the warm-up runs of a model. */
  warmedUp(version: ModelVersion, runs: WarmUpRuns): void {
    this.#learnedCost(version).warmedUp(runs);
  }

  /**
   * Begins a run.
   * @param live whether it is a live run, which is used for the estimates
   */
  begin(version: ModelVersion, rows: number, live: boolean): RunUnderWay {
    const { waiting, now } = this.#options;
    const started = now();
    const betweenMs = started - (this.#freed.pop() ?? started);
    const run: RunUnderWay = {
      end: (wasAnswered) => {
        if (!this.#ends.delete(run) || !wasAnswered) return;
        const ranMs = now() - started;
        if (waiting().rows > 0) this.#freed.push(now());
        // If the process that feeds the children is busy, its time lies between two runs, and requests wait for it
        // too. If the gap is longer than the run, the process was not busy: the waiting requests had gone.
        if (live) this.#learnedCost(version).observe(rows, ranMs + (betweenMs <= ranMs ? betweenMs : 0));
      },
    };
    this.#ends.set(run, started + this.#cost(version).ms(rows));
    return run;
  }

  #inTime(version: ModelVersion, timeoutMs: number, waitingMs: number): number {
    const { slots, maxWaitingRows } = this.#options;
    const together = this.runRows(version, timeoutMs);
    const cost = this.#cost(version);
    const runMs = cost.ms(together);
    if (runMs === 0) return maxWaitingRows;
    const ms = Math.max(0, timeoutMs * USABLE_SHARE - this.#firstFree() - waitingMs / slots);
    const rounds = Math.floor(ms / runMs);
    return (rounds * together + Math.min(together, cost.rowsWithin(ms - rounds * runMs))) * slots;
  }

  /** Returns the milliseconds until a child is free. */
  #firstFree(): number {
    if (this.#ends.size < this.#options.slots) return 0;
    return Math.max(0, Math.min(...this.#ends.values()) - this.#options.now());
  }

  #cost(version: ModelVersion): RunCost {
    return this.#costs.get(version) ?? UNKNOWN;
  }

  /** Returns the cost of a version to record its runs in. */
  #learnedCost(version: ModelVersion): RunCost {
    const cost = this.#costs.get(version) ?? createRunCost();
    this.#costs.set(version, cost);
    return cost;
  }
}

/** The cost of a version without any run. */
const UNKNOWN = createRunCost();
