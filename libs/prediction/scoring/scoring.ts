/** The port to inference: turns feature batches into outputs, outside this process's event loop. */
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
   * Milliseconds from now until the answer is useless; for a batch, milliseconds of CPU time. After that, the process
   * that runs it is killed.
   */
  readonly timeoutMs: number;
  /**
   * Time limit of one run of these rows in ms, counted in the same way from its start; default: the rest of
   * `timeoutMs`.
   */
  readonly runTimeoutMs?: number;
  /** The priority: `live` runs before `batch` if both wait. */
  readonly priority: 'live' | 'batch';
  /**
   * Calls back when no reader waits for these rows any more. Waiting rows are then removed, and the request fails with
   * `caller_gone`.
   */
  readonly onGone?: ((tell: () => void) => void) | undefined;
}

/** Row i of each tensor belongs to `rows[i]` of the request. */
export interface ScoreResult {
  readonly tensors: OutputTensors;
}

/**
 * Port: scores rows. Rejects with a TandemError: `live_timeout` (deadline), `caller_gone` (`onGone`), `live_failed`
 * (the model rejected the input or returned another number of rows), `overloaded` (no place in the queue, or too little
 * CPU for a batch). Rejects with `ScoringCrash` if the process died. If only some rows are rejected before the run, the
 * error is a `RowsRefused` with one of these codes.
 */
export interface Scorer {
  score(request: ScoreRequest): Promise<ScoreResult>;
}

/** Port to the component that knows the free inference capacity. */
export interface LoadShedding {
  /**
   * Returns how many more users of a version can be inferred live within this many ms, in addition to all requests so
   * far.
   */
  room(version: ModelVersion, timeoutMs: number): number;
}

/** Load shedding that is off: no request is rejected before it has waited. */
export const UNBOUNDED: LoadShedding = Object.freeze({ room: () => Number.POSITIVE_INFINITY });

/** Thrown if the process that ran a batch died or was killed, since the batch contains a poison row. */
export class ScoringCrash extends Error {
  /** The CPU time in ms at which the run was ended; undefined if it ended for another reason. */
  readonly cpuMs: number | undefined;

  constructor(how: string, cpuMs?: number) {
    super(how);
    this.name = 'ScoringCrash';
    this.cpuMs = cpuMs;
  }
}

/** Further facts about rejected rows. */
interface RefusalFacts {
  /** Row of the batch → the names of the features that no input can hold. */
  readonly unusable?: ReadonlyMap<number, readonly string[]>;
  /** The seconds after which a retry may succeed. */
  readonly retryAfter?: number;
}

/**
 * Thrown before a run because of some rows. `features_unusable`: an input cannot hold their features. `overloaded`:
 * there is no room for them. `live_failed`: the model hung or crashed with them before. The other rows may be retried
 * immediately.
 */
export class RowsRefused extends TandemError {
  /** Row of the batch → reason. */
  readonly rows: ReadonlyMap<number, string>;
  readonly unusable: NonNullable<RefusalFacts['unusable']>;

  constructor(
    code: 'features_unusable' | 'overloaded' | 'live_failed',
    rows: ReadonlyMap<number, string>,
    { unusable = new Map(), ...options }: RefusalFacts = {},
  ) {
    super(code, rows.values().next().value ?? 'rows were rejected', options);
    this.rows = rows;
    this.unusable = unusable;
  }
}
