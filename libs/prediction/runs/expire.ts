/** Deletes expired rows: table by table, in bounded batches, until nothing is left to remove. */
import { createStepper } from './independent-steps.ts';

/** One kind of rows that expire. */
export interface Expiry {
  /** The name in reports: its table. */
  readonly name: string;
  /** Removes a bounded number of rows, in bounded time. Finds nothing to do where another worker is at it. */
  expireSome(): Promise<ExpiredRows>;
}

export interface ExpiredRows {
  readonly rows: number;
  /** Whether nothing is left for now. */
  readonly isDone: boolean;
}

interface ExpireOptions {
  /** Resolves after this many milliseconds, or when the round must end. */
  pause(ms: number): Promise<void>;
  /** Ends the round after the batches under way. */
  readonly stopping?: AbortSignal;
  /** Returns why no further batch may begin; null if one may. */
  whyIdle?(): Promise<unknown>;
  /** Time budget of a round in ms: the rest is reported and removed in the next round. */
  readonly roundMs?: number;
}

interface ExpiryReport {
  readonly rowsExpired: number;
  /** Steps that failed or were not finished, by name; the others were done. */
  readonly errors: readonly string[];
}

/** Concurrent batches: a slow table does not delay the others. */
const LANES = 2;
const ROUND_MS = 300_000;
/** After each batch, of the time that it took: events and reads come first. */
const PAUSE_RATIO = 0.5;

export async function expire(
  expiries: readonly Expiry[],
  { pause, stopping = new AbortController().signal, whyIdle, roundMs = ROUND_MS }: ExpireOptions,
): Promise<ExpiryReport> {
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
      // No `||=`, which would read the flag before it waits, and undo what the other lane has found meanwhile.
      if (stopping.aborted || (await whyIdle?.())) isStopped = true;
      if (isStopped || performance.now() >= deadline) return;
      if (!isDone) await pause((performance.now() - began) * PAUSE_RATIO);
    }
  }
  await Promise.all(Array.from({ length: LANES }, runLane));
  const late = isStopped ? [] : waiting.map(({ name }) => `${name}: not caught up after ${roundMs / 1000} s`);
  return { rowsExpired, errors: [...errors, ...late] };
}
