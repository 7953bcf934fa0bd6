/**
 * Ports to the part of the online store that holds generations. What it holds was committed in Postgres before, so
 * loading repeats harmlessly, and whatever it loses is loaded again.
 */
import type { Generation } from './generations.ts';
import type { StoredRow } from './run-store.ts';

/** Rejects `unavailable` where the online store does not answer. */
export interface GenerationLoader {
  /** Writes committed rows into the generation's buckets; rows that are there already stay as they are. */
  loadRows(generation: Generation, rows: readonly StoredRow[]): Promise<unknown>;
  /** Marks the generation as complete if so many users of it are there; false where some are missing. */
  completeLoad(generation: Generation, users: number): Promise<boolean>;
  /** Loads all rows at a bounded rate; `complete` is false where the store lost some meanwhile. */
  loadGeneration(
    generation: Generation,
    pages: AsyncIterable<readonly StoredRow[]>,
  ): Promise<{ readonly loaded: number; readonly complete: boolean }>;
  isLoaded(generation: Generation): Promise<boolean>;
}

export interface GenerationSweeper {
  /** Forgets a generation, in steps that do not hold up reads. */
  forget(generation: Generation): Promise<unknown>;
  /** Forgets all that are not listed. */
  sweep(listKept: () => Promise<readonly string[]>): Promise<unknown>;
}
