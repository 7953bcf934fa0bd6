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

/** The cost of a version without any run. */
const UNKNOWN = createRunCost();
