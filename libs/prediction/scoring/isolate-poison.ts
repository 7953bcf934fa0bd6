/**
 * Scores users so that a poison user fails alone. If a batch is rejected or its process died, its halves are scored
 * separately, until the poison row is alone. This costs about 2·log2(rows) runs for one poison user.
 *
 * If rows hang rather than fail, each failing part of a batch costs the time limit of its run. So the parts have far
 * less time than the whole batch, and after two minutes of failures no part is halved further. The remaining parts are
 * fewer than the failures so far, and each is tried once. A chunk of 5,000 users that all hang takes about five minutes
 * of runs.
 */
import { isTandemError } from '@tandem/freshness/errors';
import { type EncodedBatch, encodeBatch } from '@tandem/freshness/outputs';
import { type Attempted, type Failures, halveFailing, partsOf } from './halve-failing.ts';
import { RowsRefused, type ScoreRequest, type ScoreResult, type Scorer, ScoringCrash } from './scoring.ts';

/** Rows of the batch that were scored together. Rows without outputs are among the faults. */
interface ScoredPart {
  readonly rows: readonly number[];
  readonly encoded: EncodedBatch;
}

export interface IsolatedScores {
  /** The scored parts in their order. */
  readonly parts: readonly ScoredPart[];
  /**
   * Row of the batch → its outputs in the layout of outputs.ts. The first use makes a buffer for each row: for few rows
   * only.
   */
  readonly outputs: ReadonlyMap<number, Buffer>;
  /** Row of the batch → why it has no outputs. */
  readonly faults: ReadonlyMap<number, string>;
  /** Rows of `faults` with features that no input of the model can hold: row of the batch → their names. */
  readonly unusable: ReadonlyMap<number, readonly string[]>;
  /** Rows of `faults` without a usable output of the model, such as NaN. A retry gives the same output. */
  readonly withoutOutput: ReadonlySet<number>;
  /** Rows of `faults` for which there was no room to wait. Empty for a batch, which is rejected as a whole. */
  readonly overloaded: ReadonlySet<number>;
  /** Rows of `faults` that were not scored for lack of time. Live requests only. */
  readonly late: ReadonlySet<number>;
  /** Rows that were not tried, because enough rows were scored. */
  readonly left: readonly number[];
}

interface IsolationOptions {
  /** Rows that are scored together at first; default: all. */
  readonly partRows?: number;
  /** Called between parts after one was scored, while none has failed. If true, the others are skipped. */
  isEnough?(): Promise<boolean>;
  /** Called after each part, scored or failed. An exception ends the work. */
  onPart?(): void;
  /** After this many failures, a failing part is given up as a whole instead of being halved. */
  readonly budget?: number;
  /** A monotonic clock in milliseconds; for tests. */
  now?(): number;
}

/** After this many failures without any scored row, the model itself is at fault, and no more rows are tried. */
const FAILURES_OF_A_BROKEN_MODEL = 128;
/**
 * The allowed number of failures per row. It is enough to find one poison user in a hundred, without spending a day on
 * a chunk full of poison users.
 */
const FAILURES_A_ROW = 1 / 8;
/** For a batch: the limit of the total time of failing parts, in CPU time for a part that its CPU limit ended. */
const FAILING_MS = 120_000;
/** The time limit of a run of a batch's part. A healthy run of 1,024 rows takes milliseconds. */
const PART_BASE_MS = 1_000;
const PART_MS_PER_ROW = 2;

type Rows = readonly number[];

/**
 * Scores rows so that a poison row fails alone. For a batch, `timeoutMs` applies to each part; for a live request to
 * all parts together, since its readers then leave. Rejects like the scorer if no row is the cause (overload,
 * deadline).
 */
export async function scoreIsolating(
  scorer: Scorer,
  request: ScoreRequest,
  options: IsolationOptions = {},
): Promise<IsolatedScores> {
  const { onPart = () => {}, budget = budgetOf(request), now = () => performance.now() } = options;
  const { partRows = request.rows.length, isEnough = async () => false } = options;
  const scored: ScoredPart[] = [];
  const faults = new Map<number, string>();
  const apart = nobodyApart();
  const left: number[] = [];
  const deadline = now() + request.timeoutMs;

  /** Scores a part; returns the parts to try instead if some of its rows are rejected. */
  async function score(rows: Rows, failed: Failures): Promise<Attempted<number>> {
    if (await isToLeave(failed)) {
      left.push(...rows);
      return 'done';
    }
    const isLate = request.priority === 'live' && failed.count > 0;
    const timeoutMs = isLate ? deadline - now() : request.timeoutMs;
    if (timeoutMs <= 0) return leave(rows);
    try {
      const part = { ...request, ...(failed.count > 0 ? runLimit(request, rows) : {}), rows, timeoutMs };
      take(rows, await scorer.score(part));
      return 'done';
    } catch (error) {
      if (isRefusalOfSome(error, request)) return { instead: withoutRefused(rows, error) };
      // Rows that were scored before the deadline are still useful for the next reader.
      if (isLate && isTandemError(error, 'live_timeout')) return leave(rows);
      if (!isOfTheRows(error)) throw error;
      return { failed: reasonOf(error, request), ms: costOf(error) };
    }
  }

  async function isToLeave(failed: Failures): Promise<boolean> {
    return left.length > 0 || (scored.length > 0 && failed.count === 0 && (await isEnough()));
  }

  function leave(rows: Rows): 'done' {
    for (const row of rows) apart.late.add(row);
    giveUp(rows, OUT_OF_TIME);
    return 'done';
  }

  function giveUp(rows: Rows, why: string): void {
    for (const row of rows) faults.set(row, why);
  }

  function take(rows: Rows, { tensors }: ScoreResult): void {
    const encoded = encodeBatch(request.version.outputs, tensors, rows.length);
    for (const [i, fault] of encoded.faults) {
      faults.set(rows[i] as number, fault);
      apart.withoutOutput.add(rows[i] as number);
    }
    if (encoded.faults.size < rows.length) scored.push({ rows, encoded });
  }

  function withoutRefused(rows: Rows, { code, rows: refused, unusable: features }: RowsRefused): readonly Rows[] {
    for (const [row, why] of refused) {
      faults.set(row, why);
      if (code === 'overloaded') apart.overloaded.add(row);
      else if (code === 'features_unusable') apart.unusable.set(row, features.get(row) ?? []);
    }
    return partsOf(rows.filter((row) => !refused.has(row)));
  }

  const limits = { budget, failingMs: FAILING_MS, brokenAfter: FAILURES_OF_A_BROKEN_MODEL, culprit: 'the model' };
  const hasSuccess = () => scored.length > 0;
  await halveFailing(partsOf(request.rows, partRows), { attempt: score, giveUp, hasSuccess, onPart, now }, limits);
  let outputs: Map<number, Buffer> | undefined;
  return {
    parts: scored,
    get outputs() {
      outputs ??= byRow(scored);
      return outputs;
    },
    faults,
    left,
    ...apart,
  };
}

function nobodyApart() {
  return {
    unusable: new Map<number, readonly string[]>(),
    withoutOutput: new Set<number>(),
    overloaded: new Set<number>(),
    late: new Set<number>(),
  };
}

function byRow(parts: readonly ScoredPart[]): Map<number, Buffer> {
  const outputs = new Map<number, Buffer>();
  for (const { rows, encoded } of parts) {
    const { bytes, offsets, faults } = encoded;
    rows.forEach((row, i) => {
      if (!faults.has(i)) outputs.set(row, bytes.subarray(offsets[i], offsets[i + 1]));
    });
  }
  return outputs;
}

const OUT_OF_TIME = 'no time was left to score this user separately from users that make the model fail';

function budgetOf({ rows }: ScoreRequest): number {
  return Math.max(FAILURES_OF_A_BROKEN_MODEL, rows.length * FAILURES_A_ROW);
}

/** Returns the time limit for the run of a batch's part. A live request has only its deadline, which is shorter. */
function runLimit({ priority }: ScoreRequest, rows: Rows): Pick<ScoreRequest, 'runTimeoutMs'> {
  return priority === 'live' ? {} : { runTimeoutMs: PART_BASE_MS + PART_MS_PER_ROW * rows.length };
}

/** Returns whether only some rows were rejected. A batch without room is rejected as a whole. */
function isRefusalOfSome(error: unknown, { priority }: ScoreRequest): error is RowsRefused {
  return error instanceof RowsRefused && error.rows.size > 0 && !(priority === 'batch' && error.code === 'overloaded');
}

const NUMBERS = /(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?/gi;

/**
 * Returns the reason of a failure. The log quotes it for live requests, so numbers, which may be features, are removed.
 */
function reasonOf(error: Error, { priority }: ScoreRequest): string {
  const mayQuote = priority === 'live' && !(error instanceof ScoringCrash);
  return mayQuote ? error.message.replace(NUMBERS, '…') : error.message;
}

/** Returns the CPU time of a failed run, if known. On a busy machine it is far less than the elapsed time. */
function costOf(error: Error): number | undefined {
  return error instanceof ScoringCrash ? error.cpuMs : undefined;
}

function isOfTheRows(error: unknown): error is Error {
  return error instanceof ScoringCrash || isTandemError(error, 'live_failed', 'model_refused');
}
