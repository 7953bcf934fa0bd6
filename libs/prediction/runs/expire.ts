/** Deletes expired rows table by table, in limited batches, until nothing is left. */
import { createStepper } from './independent-steps.ts';

/** A kind of rows that expire. */
export interface Expiry {
  /** The name in reports: the table. */
  readonly name: string;
  /** Removes a limited number of rows in limited time. Does nothing if another worker is removing them. */
  expireSome(): Promise<ExpiredRows>;
}

export interface ExpiredRows {
  readonly rows: number;
  /** Whether no expired rows are left for now. */
  readonly isDone: boolean;
}

interface ExpireOptions {
  /** Resolves after this many milliseconds, or when the round must end. */
  pause(ms: number): Promise<void>;
  /** Ends the round after the current batches. */
  readonly stopping?: AbortSignal;
  /** Returns why no further batch may begin; null if a batch may begin. */
  whyIdle?(): Promise<unknown>;
  /** Time budget of a round in ms. Remaining rows are reported, and removed in the next round. */
  readonly roundMs?: number;
}

/** The number of concurrent batches, so that a slow table does not delay the others. */
const LANES = 2;
const ROUND_MS = 300_000;
/** The pause after a batch, as a share of the batch's duration: events and reads have precedence. */
const PAUSE_RATIO = 0.5;

export async function expire(
  expiries: readonly Expiry[],
  { pause, stopping = new AbortController().signal, whyIdle, roundMs = ROUND_MS }: ExpireOptions,
) {
  const { step, errors } = createStepper();
  const deadline = performance.now() + roundMs;
  const waiting = [...expiries];
  let rowsExpired = 0;
  let isStopped = false;
  async function runLane(): Promise<void> {
    for (let one = waiting.shift(); one; one = waiting.shift()) {
      const began = performance.now();
      const { rows, isDone } = await step(one.name, one.expireSome, { rows: 0, isDone: true });
      rowsExpired += rows;
      if (!isDone) waiting.push(one);
      // `||=` would read the flag before the wait, and overwrite the result of the other lane.
      if (stopping.aborted || (await whyIdle?.())) isStopped = true;
      if (isStopped || performance.now() >= deadline) return;
      if (!isDone) await pause((performance.now() - began) * PAUSE_RATIO);
    }
  }
  await Promise.all(Array.from({ length: LANES }, runLane));
  /** Steps that were not finished, by name. */
  const late = isStopped ? [] : waiting.map(({ name }) => `${name}: not caught up after ${roundMs / 1000} s`);
  return { rowsExpired, errors: [...errors, ...late] };
}
