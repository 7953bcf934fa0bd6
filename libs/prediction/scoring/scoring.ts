/** Port to inference: turns feature batches into outputs, outside this process's event loop. */
import { TandemError } from '@tandem/freshness/errors';
import type { FeatureBatch } from '@tandem/freshness/features';
import type { OutputTensors } from '@tandem/freshness/outputs';
import type { ModelVersion } from '@tandem/freshness/predictor';

export interface ScoreRequest {
  readonly version: ModelVersion;
  readonly batch: FeatureBatch;
  /** The rows of the batch to score, in this order. */
  readonly rows: readonly number[];
  /**
   * Milliseconds from now until the answer is worthless. The process that runs it is killed then; of a batch, when the run
   * has taken so much CPU time.
   */
  readonly timeoutMs: number;
  /** Milliseconds that one run of these rows may take, counted likewise from its start; default: what is left of `timeoutMs`. */
  readonly runTimeoutMs?: number;
  /** `live` goes before `batch` where both wait. */
  readonly priority: 'live' | 'batch';
}

/** Row i of each tensor belongs to `rows[i]` of the request. */
export interface ScoreResult {
  readonly tensors: OutputTensors;
}

/**
 * Rejects with a TandemError: `live_timeout` (deadline), `live_failed` (the model refused the input or gave another
 * number of rows), `overloaded` (no place in the queue, or too little CPU for a batch), or `ScoringCrash` when the process
 * died of it. Where some rows alone are refused before anything is run, the error is a `RowsRefused` of one of these codes.
 */
export interface Scorer {
  score(request: ScoreRequest): Promise<ScoreResult>;
}

/** Port to whom knows how much inference there is room for. */
export interface LoadShedding {
  /** How many more users of a version could be inferred live within so many ms, beside all that is asked of it already. */
  room(version: ModelVersion, timeoutMs: number): number;
}

/** Room for everyone: nobody is refused before he has waited. */
export const UNBOUNDED: LoadShedding = Object.freeze({ room: () => Number.POSITIVE_INFINITY });

/** The process that ran a batch died or had to be killed: somewhere in the batch is a poison row. */
export class ScoringCrash extends Error {
  /** CPU time in ms for which the run was ended; undefined: it ended for another reason. */
  readonly cpuMs: number | undefined;

  constructor(how: string, cpuMs?: number) {
    super(how);
    this.name = 'ScoringCrash';
    this.cpuMs = cpuMs;
  }
}

/** What more is known of refused rows. */
interface RefusalFacts {
  /** Row of the batch → the names of its features that no input can hold. */
  readonly unusable?: ReadonlyMap<number, readonly string[]>;
  /** Seconds. */
  readonly retryAfter?: number;
}

/**
 * Nothing was run, for the sake of some rows: `features_unusable`, an input cannot hold their features; `overloaded`,
 * there is no room for them. The others may be asked for again at once.
 */
export class RowsRefused extends TandemError {
  /** Row of the batch → why. */
  readonly rows: ReadonlyMap<number, string>;
  readonly unusable: NonNullable<RefusalFacts['unusable']>;

  constructor(
    code: 'features_unusable' | 'overloaded',
    rows: ReadonlyMap<number, string>,
    { unusable = new Map(), ...options }: RefusalFacts = {},
  ) {
    super(code, rows.values().next().value ?? 'rows were refused', options);
    this.rows = rows;
    this.unusable = unusable;
  }
}
