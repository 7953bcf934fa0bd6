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
import { partsOf } from '../parts.ts';
import { type Attempted, type Failures, type HalvingWork, halveFailing } from './halve-failing.ts';
import { RowsRefused, type ScoreRequest, type Scorer, ScoringCrash } from './scoring.ts';

type Rows = readonly number[];

/** Rows of the batch that were scored together. Rows without outputs are among the faults. */
interface ScoredPart {
  readonly rows: Rows;
  readonly encoded: EncodedBatch;
}

/** The outputs of the rows of a batch, and why the other rows have none. */
export class IsolatedScores {
  /** The scored parts in their order. */
  readonly parts: ScoredPart[] = [];
  /** Row of the batch → why it has no outputs. */
  readonly faults = new Map<number, string>();
  /** Rows of `faults` with features that no input of the model can hold: row of the batch → their names. */
  readonly unusable = new Map<number, readonly string[]>();
  /** Rows of `faults` without a usable output of the model, such as NaN. A retry gives the same output. */
  readonly withoutOutput = new Set<number>();
  /** Rows of `faults` for which there was no room to wait. Empty for a batch, which is rejected as a whole. */
  readonly overloaded = new Set<number>();
  /** Rows of `faults` that were not scored for lack of time. Live requests only. */
  readonly late = new Set<number>();
  /** Rows that were not tried, because enough rows were scored. */
  readonly left: number[] = [];
  #outputs: ReadonlyMap<number, Buffer> | undefined;

  /**
   * Row of the batch → its outputs in the layout of outputs.ts. The first use makes a buffer for each row: for few rows
   * only.
   */
  get outputs(): ReadonlyMap<number, Buffer> {
    this.#outputs ??= byRow(this.parts);
    return this.#outputs;
  }

  /** Adds rows that were scored together. */
  add(rows: Rows, encoded: EncodedBatch): void {
    for (const [i, fault] of encoded.faults) {
      const row = rows[i] as number;
      this.faults.set(row, fault);
      this.withoutOutput.add(row);
    }
    if (encoded.faults.size < rows.length) this.parts.push({ rows, encoded });
  }

  /** Adds rows that the scorer rejected. */
  refuse({ code, rows, unusable }: RowsRefused): void {
    for (const [row, why] of rows) {
      this.faults.set(row, why);
      if (code === 'overloaded') this.overloaded.add(row);
      else if (code === 'features_unusable') this.unusable.set(row, unusable.get(row) ?? []);
    }
  }
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
  const { partRows = request.rows.length, budget = budgetOf(request) } = options;
  const isolation = new Isolation(scorer, request, options);
  const limits = { budget, failingMs: FAILING_MS, brokenAfter: FAILURES_OF_A_BROKEN_MODEL, culprit: 'the model' };
  await halveFailing(partsOf(request.rows, partRows), isolation, limits);
  return isolation.scores;
}

/** The scoring of one request in parts. */
class Isolation implements HalvingWork<number> {
  readonly scores = new IsolatedScores();
  readonly onPart: () => void;
  readonly now: () => number;
  readonly #scorer: Scorer;
  readonly #request: ScoreRequest;
  readonly #isEnough: () => Promise<boolean>;
  readonly #deadline: number;

  constructor(scorer: Scorer, request: ScoreRequest, options: IsolationOptions) {
    const { onPart = () => {}, now = () => performance.now(), isEnough = async () => false } = options;
    this.onPart = onPart;
    this.now = now;
    this.#scorer = scorer;
    this.#request = request;
    this.#isEnough = isEnough;
    this.#deadline = now() + request.timeoutMs;
  }

  /** Scores a part; returns the parts to try instead if some of its rows are rejected. */
  async attempt(rows: Rows, failed: Failures): Promise<Attempted<number>> {
    if (await this.#isToLeave(failed)) {
      this.scores.left.push(...rows);
      return 'done';
    }
    const request = this.#request;
    const isLate = request.priority === 'live' && failed.count > 0;
    const timeoutMs = isLate ? this.#deadline - this.now() : request.timeoutMs;
    if (timeoutMs <= 0) return this.#giveUpLate(rows);
    try {
      const part = { ...request, ...(failed.count > 0 ? runLimit(request, rows) : {}), rows, timeoutMs };
      const { tensors } = await this.#scorer.score(part);
      this.scores.add(rows, encodeBatch(request.version.outputs, tensors, rows.length));
      return 'done';
    } catch (error) {
      if (isRefusalOfSome(error, request)) {
        this.scores.refuse(error);
        return { instead: partsOf(rows.filter((row) => !error.rows.has(row))) };
      }
      // Rows that were scored before the deadline are still useful for the next reader.
      if (isLate && isTandemError(error, 'live_timeout')) return this.#giveUpLate(rows);
      if (!isOfTheRows(error)) throw error;
      return { failed: reasonOf(error, request), ms: error instanceof ScoringCrash ? error.cpuMs : undefined };
    }
  }

  giveUp(rows: Rows, why: string): void {
    for (const row of rows) this.scores.faults.set(row, why);
  }

  hasSuccess(): boolean {
    return this.scores.parts.length > 0;
  }

  async #isToLeave(failed: Failures): Promise<boolean> {
    return this.scores.left.length > 0 || (this.hasSuccess() && failed.count === 0 && (await this.#isEnough()));
  }

  #giveUpLate(rows: Rows): 'done' {
    for (const row of rows) this.scores.late.add(row);
    this.giveUp(rows, OUT_OF_TIME);
    return 'done';
  }
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

function isOfTheRows(error: unknown): error is Error {
  return error instanceof ScoringCrash || isTandemError(error, 'live_failed', 'model_refused');
}
