/**
 * Works on many items so that a poison item fails alone: a part that fails is halved, until the item at fault stands by
 * itself. One poison item costs about 2·log2(items) attempts; limits bound what failing parts cost together.
 */

export interface Failures {
  readonly count: number;
  /** What the failing attempts took, together. */
  readonly ms: number;
  /** The message of the last one. */
  readonly last: string;
}

/** What became of a part: it is done with; these parts are to be tried instead; or it failed, and may be halved. */
export type Attempted<T> =
  | 'done'
  | { readonly instead: readonly (readonly T[])[] }
  /** `ms`: what the attempt took, where that is not the time that passed. */
  | { readonly failed: string; readonly ms?: number | undefined };

export interface HalvingLimits {
  /** After this many failures a part that fails is given up whole. */
  readonly budget: number;
  /** The same, in milliseconds of failing attempts. */
  readonly failingMs: number;
  /** After this many failures without a single success nothing more is tried: the fault lies in no item. */
  readonly brokenAfter: number;
  /** What fails, in the reason of parts that are given up: `the model`. */
  readonly culprit: string;
}

export interface HalvingWork<T> {
  /** Rejects where the reason lies in no item, which ends all work. */
  attempt(part: readonly T[], failed: Failures): Promise<Attempted<T>>;
  /**
   * Told of a part that failed for good.
   * @param isProven it is one item, which failed by itself; else the limits are reached, and most of it may be innocent
   */
  giveUp(part: readonly T[], why: string, isProven: boolean): void;
  /** Whether any item has succeeded. */
  hasSuccess(): boolean;
  /** Told after each part. What it throws ends the work. */
  onPart?(): void;
  /** Milliseconds that only ever rise. */
  now?(): number;
}

/** @param whole the parts to begin with */
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
    failed.last = attempted.failed;
    if (part.length === 1) giveUp(part, attempted.failed, true);
    else if (failed.count > limits.budget || failed.ms >= limits.failingMs) giveUp(part, givenUp(part), false);
    else return [part.slice(0, part.length >> 1), part.slice(part.length >> 1)];
    return [];
  }

  /** The reason of items most of which may be innocent. */
  function givenUp({ length }: readonly T[]): string {
    return `given up together with ${length - 1} others after ${failed.count} failures of ${limits.culprit}, the last: ${failed.last}`;
  }

  // Large parts before small ones: the healthy are done first, and what the budget does not reach is small.
  const parts = [...whole];
  for (const part of parts) {
    const isBroken = !hasSuccess() && (failed.count >= limits.brokenAfter || failed.ms >= limits.failingMs);
    if (isBroken) giveUp(part, givenUp(part), false);
    else parts.push(...(await work(part)));
    onPart();
  }
}

/** No part where there is no item. */
export function partsOf<T>(items: readonly T[]): (readonly T[])[] {
  return items.length > 0 ? [items] : [];
}
