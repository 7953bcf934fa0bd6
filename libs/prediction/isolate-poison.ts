/**
 * Scores users so that a poison user fails alone: where a batch is refused, or the process that ran it died, its halves
 * are scored apart, until the one row that does it stands by itself. Costs about 2·log2(rows) runs for one poison user.
 */
import { isTandemError } from './errors.ts';
import { encodeOutputs, outputFault } from './outputs.ts';
import { type ScoreRequest, type ScoreResult, type Scorer, ScoringCrash } from './scoring.ts';

export interface IsolatedScores {
  /** Row of the batch → its outputs in the layout of outputs.ts. */
  readonly outputs: ReadonlyMap<number, Buffer>;
  /** Row of the batch → why it has none. */
  readonly faults: ReadonlyMap<number, string>;
}

/** After this many failures without a single row scored, the model itself is to blame: no more is tried. */
const FAILURES_OF_A_BROKEN_MODEL = 128;
/** Failures for each row: enough to find one poison user in a hundred, and no day is spent on a chunk full of them. */
const FAILURES_A_ROW = 1 / 8;

/**
 * A batch has `timeoutMs` for each part that it is cut into; a live request has it in all, since its readers leave then.
 * Rejects as the scorer does where the reason lies in no row (overload, deadline).
 *
 * @param budget after this many failures a part that fails is given up whole: a model that dies of everything must not
 * be tried row by row for ever
 */
export async function scoreIsolating(
  scorer: Scorer,
  request: ScoreRequest,
  budget = Math.max(FAILURES_OF_A_BROKEN_MODEL, request.rows.length * FAILURES_A_ROW),
): Promise<IsolatedScores> {
  const outputs = new Map<number, Buffer>();
  const faults = new Map<number, string>();
  const deadline = performance.now() + request.timeoutMs;
  let failures = 0;
  let lastFailure = '';

  function take(rows: readonly number[], { tensors }: ScoreResult): void {
    rows.forEach((row, i) => {
      const fault = outputFault(request.version.outputs, tensors, i);
      if (fault) faults.set(row, fault);
      else outputs.set(row, encodeOutputs(request.version.outputs, tensors, i));
    });
  }

  /** Scores a part; gives the smaller parts to try instead, where it failed. */
  async function score(rows: readonly number[]): Promise<readonly (readonly number[])[]> {
    const isLate = request.priority === 'live' && failures > 0;
    const timeoutMs = isLate ? deadline - performance.now() : request.timeoutMs;
    try {
      if (timeoutMs <= 0) giveUp(faults, rows, OUT_OF_TIME);
      else take(rows, await scorer.score({ ...request, rows, timeoutMs }));
      return [];
    } catch (error) {
      // What was scored before the deadline is still of use to the next reader.
      if (isLate && isTandemError(error, 'live_timeout')) return giveUp(faults, rows, OUT_OF_TIME);
      if (!isOfTheRows(error)) throw error;
      failures++;
      lastFailure = error.message;
      if (rows.length === 1) return giveUp(faults, rows, error.message);
      if (failures > budget) return giveUp(faults, rows, givenUp(rows, failures, lastFailure));
      return [rows.slice(0, rows.length >> 1), rows.slice(rows.length >> 1)];
    }
  }

  // Large parts before small ones: the healthy are done first, and what the budget does not reach is small.
  const parts = request.rows.length > 0 ? [request.rows] : [];
  for (const part of parts) {
    const isBroken = outputs.size === 0 && failures >= FAILURES_OF_A_BROKEN_MODEL;
    if (isBroken) giveUp(faults, part, givenUp(part, failures, lastFailure));
    else parts.push(...(await score(part)));
  }
  return { outputs, faults };
}

const OUT_OF_TIME = 'no time was left to score this user apart from those whom the model fails of';

/** The reason of rows most of which may be innocent. */
function givenUp(rows: readonly number[], failures: number, last: string): string {
  return `given up together with ${rows.length - 1} others after ${failures} failures of the model, the last: ${last}`;
}

function giveUp(faults: Map<number, string>, rows: readonly number[], why: string): [] {
  for (const row of rows) faults.set(row, why);
  return [];
}

function isOfTheRows(error: unknown): error is Error {
  return error instanceof ScoringCrash || isTandemError(error, 'live_failed', 'model_refused');
}
