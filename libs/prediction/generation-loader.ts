/**
 * Port to the part of the online store that holds generations. What it holds was committed in Postgres before, so
 * loading repeats harmlessly, and whatever it loses is loaded again.
 */
import type { Generation } from './generations.ts';
import type { StoredRow } from './run-store.ts';

export interface GenerationLoader {
  /** Writes committed rows into the generation's buckets; rows that are there already stay as they are. */
  loadRows(generation: Generation, rows: readonly StoredRow[]): Promise<void>;
  /**
   * Notes that a chunk's rows are loaded; gives how many distinct chunks are noted. The notes live beside the rows, so a
   * flush between two chunks shows in the count.
   */
  noteChunk(generation: Generation, no: number): Promise<number>;
  /** Begins to load a whole generation; the token lives beside the rows and is lost with them. */
  beginLoad(generation: Generation): Promise<string>;
  /** Marks the generation as complete; false where the token is gone, so that rows may be missing. */
  endLoad(generation: Generation, token: string): Promise<boolean>;
  /** Marks the generation as complete after its last chunk. */
  markLoaded(generation: Generation): Promise<void>;
  isLoaded(generation: Generation): Promise<boolean>;
  /** Forgets a generation, in steps that do not hold up reads. */
  drop(generationId: string): Promise<void>;
}
