/**
 * The rows that wait for a child, and the rule for batching them. Rows of the same model version that wait while every
 * child is busy form one batch of any size. No row waits for further rows to arrive.
 */
import type { ModelVersion } from '@tandem/freshness/predictor';
import type { EncodedInput } from '../tensors/batch-tensors.ts';

/** Rows of one request that are run together. A request of many rows has several parts. */
export interface Part<R> {
  readonly request: R;
  readonly version: ModelVersion;
  /** The part's first row in the request. */
  readonly start: number;
  readonly rows: number;
  readonly inputs: readonly EncodedInput[];
  /** Names of the wanted outputs, in order. */
  readonly outputs: readonly string[];
  /** Whether the part's run must contain no other part. */
  readonly isAlone: boolean;
  /** The estimated cost in ms of a child, which is set before the part waits. */
  costMs: number;
  /** The number of failed runs that contained the part. */
  failedRuns: number;
  /** Whether the part waits; set by the waiting line. */
  waiting: boolean;
}

/** The most waiting parts that are examined for one run, which limits the cost if many versions wait. */
const SCANNED = 1_000;

export class WaitingLine<R> {
  // Arrays instead of sets, although a set could delete a part at once. V8 keeps the old tables of a set with their
  // contents until a full collection. At 100,000 requests/s, minor collections took 9 ms instead of 0.4 ms.
  #retries: Part<R>[] = [];
  #parts: Part<R>[] = [];
  #rows = 0;
  #costMs = 0;
  /** The number of removed parts that are still in the arrays. */
  #gone = 0;

  /** Returns the number of waiting rows. */
  rows(): number {
    return this.#rows;
  }

  /** Returns the total cost of the waiting rows in ms of a child. */
  costMs(): number {
    return this.#costMs;
  }

  add(part: Part<R>): void {
    this.#addTo(this.#parts, part);
  }

  /** Adds a part whose run has failed before all others. It never shares a run again. */
  retryAlone(part: Part<R>): void {
    this.#addTo(this.#retries, part);
  }

  remove(part: Part<R>): void {
    if (!part.waiting) return;
    part.waiting = false;
    this.#rows -= part.rows;
    // Without requests the sum is set to zero, which removes rounding errors.
    this.#costMs = this.#rows === 0 ? 0 : this.#costMs - part.costMs;
    this.#gone++;
    if (this.#gone > 64 && this.#gone > (this.#retries.length + this.#parts.length) / 2) this.#compact();
  }

  /** Returns the part that the next run begins with. */
  first(): Part<R> | undefined {
    return this.#retries.find(isWaiting) ?? this.#parts.find(isWaiting);
  }

  /** Removes and returns the parts of the next run: one version, the same outputs, at most `maxRows` rows. */
  take(maxRows: number): Part<R>[] {
    const retry = this.#retries.find(isWaiting);
    const taken = retry ? [retry] : together(this.#parts, maxRows);
    for (const part of taken) this.remove(part);
    this.#compact();
    return taken;
  }

  #addTo(line: Part<R>[], part: Part<R>): void {
    part.waiting = true;
    line.push(part);
    this.#rows += part.rows;
    this.#costMs += part.costMs;
  }

  #compact(): void {
    this.#retries = this.#retries.filter(isWaiting);
    this.#parts = this.#parts.filter(isWaiting);
    this.#gone = 0;
  }
}

function isWaiting<R>(part: Part<R>): boolean {
  return part.waiting;
}

function together<R>(parts: readonly Part<R>[], maxRows: number): Part<R>[] {
  const taken: Part<R>[] = [];
  let rows = 0;
  let scanned = 0;
  for (const part of parts) {
    if (!part.waiting) continue;
    const first = taken[0] ?? part;
    if (part === first || (rows + part.rows <= maxRows && fitTogether(part, first))) {
      taken.push(part);
      rows += part.rows;
    }
    if (rows >= maxRows || ++scanned >= SCANNED) break;
  }
  return taken;
}

function fitTogether<R>(one: Part<R>, other: Part<R>): boolean {
  if (one.isAlone || other.isAlone) return false;
  return one.version.id === other.version.id && areSame(one.outputs, other.outputs);
}

function areSame(one: readonly string[], other: readonly string[]): boolean {
  return one === other || (one.length === other.length && one.every((name, i) => name === other[i]));
}
