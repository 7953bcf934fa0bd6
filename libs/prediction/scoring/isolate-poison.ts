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

// `halveFailing` processes many items so that a poison item fails alone: a failing part is halved until the item is
// alone. One poison item costs about 2·log2(items) attempts. Limits bound the total cost of failing parts.

interface Failures {
  readonly count: number;
  /** Total duration of the failing attempts. */
  readonly ms: number;
  /** The message of the last failure, or its summary. */
  readonly last: string;
}

/** The result of a part: it is finished, other parts must be tried instead, or it failed and may be halved. */
export type Attempted<T> =
  | 'done'
  | { readonly instead: readonly (readonly T[])[] }
  /**
   * `ms`: the cost of the attempt, if it is not the elapsed time. `summary`: the reason for parts that are given up,
   * instead of `failed`, which may quote values of an item.
   */
  | { readonly failed: string; readonly summary?: string; readonly ms?: number | undefined };

export interface HalvingLimits {
  /** After this many failures, a failing part is given up as a whole. */
  readonly budget: number;
  /** After this many milliseconds of failing attempts, a failing part is given up as a whole. */
  readonly failingMs: number;
  /** After this many failures without a success, nothing more is tried, since no single item is at fault. */
  readonly brokenAfter: number;
  /** The failing component, in the reason of parts that are given up: `the model`. */
  readonly culprit: string;
}

interface HalvingWork<T> {
  /** Processes a part. Rejects if no item is the cause, which ends all work. */
  attempt(part: readonly T[], failed: Failures): Promise<Attempted<T>>;
  /** Receives each part that failed for good. */
  giveUp(part: readonly T[], why: string, isProven: boolean): void;
  /** Returns whether any item has succeeded. */
  hasSuccess(): boolean;
  /** Called after each part. An exception ends the work. */
  onPart?(): void;
  /** A monotonic clock in milliseconds. */
  now?(): number;
}

/** Processes items, which are divided into the parts `whole` at first, and halves failing parts. */
export async function halveFailing<T>(
  whole: readonly (readonly T[])[],
  { attempt, giveUp, hasSuccess, onPart = () => {}, now = () => performance.now() }: HalvingWork<T>,
  limits: HalvingLimits,
): Promise<void> {
  const failed = { count: 0, ms: 0, last: '' };

  async function work(part: readonly T[]): Promise<readonly (readonly T[])[]> {
    const started = now();
    const attempted = await attempt(part, failed);
    if (attempted === 'done') return [];
    if ('instead' in attempted) return attempted.instead;
    failed.count++;
    failed.ms += attempted.ms ?? now() - started;
    failed.last = attempted.summary ?? attempted.failed;
    if (part.length === 1) giveUp(part, attempted.failed, true);
    else if (failed.count > limits.budget || failed.ms >= limits.failingMs) giveUp(part, givenUp(part), false);
    else return [part.slice(0, part.length >> 1), part.slice(part.length >> 1)];
    return [];
  }

  /** Returns the reason for a part in which most items may be healthy. */
  function givenUp({ length }: readonly T[]): string {
    return `given up, like ${length - 1} others of the batch, after ${failed.count} failures of ${limits.culprit}; the last failure: ${failed.last}`;
  }

  // Large parts come first, so that healthy items are done first, and few items remain when the budget is spent.
  const parts = [...whole];
  for (const part of parts) {
    const isBroken = !hasSuccess() && (failed.count >= limits.brokenAfter || failed.ms >= limits.failingMs);
    if (isBroken) giveUp(part, givenUp(part), false);
    else parts.push(...(await work(part)));
    onPart();
  }
}

/** Cuts items into parts. Without items there are no parts. */
export function partsOf<T>(items: readonly T[], most: number = items.length): (readonly T[])[] {
  if (items.length <= most) return items.length > 0 ? [items] : [];
  return Array.from({ length: Math.ceil(items.length / most) }, (_, i) => items.slice(i * most, (i + 1) * most));
}
