/**
 * Scores users so that a poison user fails alone: where a batch is refused, or the process that ran it died, its halves
 * are scored apart, until the one row that does it stands by itself. Costs about 2·log2(rows) runs for one poison user.
 */
import { isTandemError } from './errors.ts';
import type { FeatureBatch } from './features.ts';
import { encodeOutputs, outputFault } from './outputs.ts';
import type { ModelVersion } from './predictor.ts';
import { type ScoreRequest, type Scorer, ScoringCrash } from './scoring.ts';

export interface IsolatedScores {
  /** Row of the batch → its outputs in the layout of outputs.ts. */
  readonly outputs: ReadonlyMap<number, Buffer>;
  /** Row of the batch → why it has none. */
  readonly faults: ReadonlyMap<number, string>;
}

/**
 * @param crashBudget after this many crashes and refusals the remaining rows are given up together: a model that dies
 * of everything must not be tried row by row for ever
 */
export async function scoreIsolating(scorer: Scorer, request: ScoreRequest, crashBudget = 64): Promise<IsolatedScores> {
  const outputs = new Map<number, Buffer>();
  const faults = new Map<number, string>();
  let crashes = 0;

  async function score(rows: readonly number[]): Promise<void> {
    if (rows.length === 0) return;
    try {
      const { tensors } = await scorer.score({ ...request, rows });
      rows.forEach((row, i) => {
        const fault = outputFault(request.version.outputs, tensors, i);
        if (fault) faults.set(row, fault);
        else outputs.set(row, encodeOutputs(request.version.outputs, tensors, i));
      });
    } catch (error) {
      if (!isOfTheRows(error)) throw error;
      crashes++;
      if (rows.length === 1 || crashes > crashBudget) {
        for (const row of rows) faults.set(row, error.message);
        return;
      }
      const middle = rows.length >> 1;
      await score(rows.slice(0, middle));
      await score(rows.slice(middle));
    }
  }

  await score(request.rows);
  return { outputs, faults };
}

function isOfTheRows(error: unknown): error is Error {
  return error instanceof ScoringCrash || isTandemError(error, 'live_failed', 'model_refused');
}

/** Scores one user's row of a batch: for explanations. */
export function scoreRow(scorer: Scorer, version: ModelVersion, batch: FeatureBatch, row: number, timeoutMs: number) {
  return scoreIsolating(scorer, { version, batch, rows: [row], timeoutMs, priority: 'live' });
}
