/**
 * Processes many items so that a poison item fails alone: a failing part is halved until the item is alone. One poison
 * item costs about 2·log2(items) attempts. Limits bound the total cost of failing parts.
 */

export interface Failures {
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

export interface HalvingWork<T> {
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
  work: HalvingWork<T>,
  limits: HalvingLimits,
): Promise<void> {
  const now = () => work.now?.() ?? performance.now();
  const failed = { count: 0, ms: 0, last: '' };

  async function attempt(part: readonly T[]): Promise<readonly (readonly T[])[]> {
    const started = now();
    const attempted = await work.attempt(part, failed);
    if (attempted === 'done') return [];
    if ('instead' in attempted) return attempted.instead;
    failed.count++;
    failed.ms += attempted.ms ?? now() - started;
    failed.last = attempted.summary ?? attempted.failed;
    if (part.length === 1) work.giveUp(part, attempted.failed, true);
    else if (failed.count > limits.budget || failed.ms >= limits.failingMs) work.giveUp(part, givenUp(part), false);
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
    const isBroken = !work.hasSuccess() && (failed.count >= limits.brokenAfter || failed.ms >= limits.failingMs);
    if (isBroken) work.giveUp(part, givenUp(part), false);
    else parts.push(...(await attempt(part)));
    work.onPart?.();
  }
}
