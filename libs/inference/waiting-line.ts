/**
 * The line of rows that wait for a child, and the rule that makes batches of them: what waits for the same model
 * version while every child is busy goes together, as much as there is, and nothing ever waits for company.
 */
import type { ModelVersion } from '@tandem/prediction/predictor';
import type { EncodedInput } from './input-tensors.ts';

/** Rows of one request that are run together; a request of many rows has several. */
export interface Part<R> {
  readonly request: R;
  readonly version: ModelVersion;
  /** Its first row in the request. */
  readonly start: number;
  readonly rows: number;
  readonly inputs: readonly EncodedInput[];
  /** How often it was run and may have been the one that failed. */
  suspicions: number;
}

export interface WaitingLine<R> {
  /** Waiting rows. */
  rows(): number;
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
  // Sets keep the order in which parts came, and lose one from the middle in constant time.
  const suspects = new Set<Part<R>>();
  const parts = new Set<Part<R>>();
  let rows = 0;

  function remove(part: Part<R>): void {
    if (parts.delete(part) || suspects.delete(part)) rows -= part.rows;
  }

  function first(): Part<R> | undefined {
    for (const part of suspects) return part;
    for (const part of parts) return part;
    return undefined;
  }

  return {
    first,
    rows: () => rows,
    add(part) {
      parts.add(part);
      rows += part.rows;
    },
    addSuspect(part) {
      suspects.add(part);
      rows += part.rows;
    },
    remove,
    take(maxRows) {
      const [suspect] = suspects;
      const taken = suspect ? [suspect] : together(parts, maxRows);
      for (const part of taken) remove(part);
      return taken;
    },
  };
}

function together<R>(parts: ReadonlySet<Part<R>>, maxRows: number): Part<R>[] {
  const taken: Part<R>[] = [];
  let rows = 0;
  let scanned = 0;
  for (const part of parts) {
    const first = taken[0] ?? part;
    if (part === first || (part.version.id === first.version.id && rows + part.rows <= maxRows)) {
      taken.push(part);
      rows += part.rows;
    }
    if (rows >= maxRows || ++scanned >= SCANNED) break;
  }
  return taken;
}
