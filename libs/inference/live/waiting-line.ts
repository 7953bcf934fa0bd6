/**
 * The line of rows that wait for a child, and the rule that makes batches of them: what waits for the same model
 * version while every child is busy goes together, as much as there is, and nothing ever waits for company.
 */
import type { ModelVersion } from '@tandem/freshness/predictor';
import type { EncodedInput } from '../tensors/input-tensors.ts';

/** Rows of one request that are run together; a request of many rows has several. */
export interface Part<R> {
  readonly request: R;
  readonly version: ModelVersion;
  /** Its first row in the request. */
  readonly start: number;
  readonly rows: number;
  readonly inputs: readonly EncodedInput[];
  /** What it is likely to cost of a child's time, in ms; set before it waits. */
  costMs: number;
  /** How often it was run and may have been the one that failed. */
  suspicions: number;
  /** Kept by the line. */
  waiting: boolean;
}

export interface WaitingLine<R> {
  /** Waiting rows. */
  rows(): number;
  /** What they cost together, in ms of a child. */
  costMs(): number;
  add(part: Part<R>): void;
  /** Before all others, and never again together with another part: one of those it was run with failed. */
  addSuspect(part: Part<R>): void;
  remove(part: Part<R>): void;
  /** The part that the next run begins with. */
  first(): Part<R> | undefined;
  /** The next run: parts of one version with `maxRows` rows together at most. Empty when nobody waits. */
  take(maxRows: number): Part<R>[];
}

/** How many waiting parts are looked at for one run: a bound on its cost where many versions wait. */
const SCANNED = 1_000;

export function createWaitingLine<R>(): WaitingLine<R> {
  // Arrays rather than sets, from which a part could be deleted at once: V8 keeps a set's outgrown tables, with all that
  // was ever in them, until a full collection, and the collections between took 9 ms rather than 0.4 at 100,000 requests/s.
  let suspects: Part<R>[] = [];
  let parts: Part<R>[] = [];
  let rows = 0;
  let costMs = 0;
  /** Removed parts that are still in the arrays. */
  let gone = 0;

  function add(line: Part<R>[], part: Part<R>): void {
    part.waiting = true;
    line.push(part);
    rows += part.rows;
    costMs += part.costMs;
  }

  function remove(part: Part<R>): void {
    if (!part.waiting) return;
    part.waiting = false;
    rows -= part.rows;
    // Of nobody nothing is left, whatever the sum of fractions says.
    costMs = rows === 0 ? 0 : costMs - part.costMs;
    gone++;
    if (gone > 64 && gone > (suspects.length + parts.length) / 2) compact();
  }

  function compact(): void {
    suspects = suspects.filter(isWaiting);
    parts = parts.filter(isWaiting);
    gone = 0;
  }

  return {
    rows: () => rows,
    costMs: () => costMs,
    add: (part) => add(parts, part),
    addSuspect: (part) => add(suspects, part),
    remove,
    first: () => suspects.find(isWaiting) ?? parts.find(isWaiting),
    take(maxRows) {
      const suspect = suspects.find(isWaiting);
      const taken = suspect ? [suspect] : together(parts, maxRows);
      for (const part of taken) remove(part);
      compact();
      return taken;
    },
  };
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
    if (part === first || (part.version.id === first.version.id && rows + part.rows <= maxRows)) {
      taken.push(part);
      rows += part.rows;
    }
    if (rows >= maxRows || ++scanned >= SCANNED) break;
  }
  return taken;
}
