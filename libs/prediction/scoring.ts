/** Port to inference: turns feature batches into outputs, outside this process's event loop. */
import type { FeatureBatch } from './features.ts';
import type { OutputTensors } from './outputs.ts';
import type { ModelVersion } from './predictor.ts';

export interface ScoreRequest {
  readonly version: ModelVersion;
  readonly batch: FeatureBatch;
  /** The rows of the batch to score, in this order. */
  readonly rows: readonly number[];
  /** Milliseconds from now until the answer is worthless; the process that runs it is killed then. */
  readonly timeoutMs: number;
  /** `live` goes before `batch` where both wait. */
  readonly priority: 'live' | 'batch';
}

/** Row i of each tensor belongs to `rows[i]` of the request. */
export interface ScoreResult {
  readonly tensors: OutputTensors;
}

/**
 * Rejects with a TandemError: `live_timeout` (deadline), `live_failed` (the model refused the input or gave another
 * number of rows), `overloaded` (no place in the queue), or `ScoringCrash` when the process died of it.
 */
export interface Scorer {
  score(request: ScoreRequest): Promise<ScoreResult>;
}

/** The process that ran a batch died or had to be killed: somewhere in the batch is a poison row. */
export class ScoringCrash extends Error {
  constructor(how: string) {
    super(how);
    this.name = 'ScoringCrash';
  }
}
