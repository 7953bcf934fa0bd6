/**
 * Ports to the part of the online store that holds generations. Its rows were committed in Postgres before, so loading
 * may be repeated, and lost rows are loaded again.
 */
import type { Generation } from './generations.ts';
import type { GenerationStore, StoredRow } from './run-store.ts';
import type { ScoredUsers } from './scored-users.ts';

export type LoadableGeneration = Pick<Generation, 'id' | 'buckets' | 'startedAt'> & Partial<Pick<Generation, 'baseId'>>;

/** The committed rows of one chunk. */
export interface ScoredPage {
  readonly users: ScoredUsers;
  /** ms since 1970. */
  readonly computedAt: number;
}

export interface LoadCount {
  readonly loaded: number;
  /** Rows that the store's layout cannot tell (computed before the generation started): they stay in Postgres alone. */
  readonly skipped: number;
}

interface LoadOptions {
  /** At most this many rows a second; reads share the server. Default 100,000. */
  readonly rowsPerSecond?: number;
  readonly signal?: AbortSignal;
}

/** Rejects `unavailable` if the online store does not answer or refuses; then load again, from the start. */
export interface GenerationLoader {
  /** Writes committed rows into the generation's buckets; existing rows stay unchanged. */
  loadRows(generation: LoadableGeneration, rows: readonly StoredRow[]): Promise<LoadCount>;
  /** The same for what several chunks have committed. */
  loadScored(generation: LoadableGeneration, pages: readonly ScoredPage[]): Promise<LoadCount>;
  /**
   * Marks the generation as complete if it has this many users; returns false if some are missing. A generation with a
   * base is also marked bucket by bucket, so that missing users are known to be its base's.
   */
  completeLoad(generation: LoadableGeneration, users: number): Promise<boolean>;
  /** Loads all rows at a bounded rate; `complete` is false if the store lost some meanwhile. */
  loadGeneration(
    generation: LoadableGeneration,
    pages: AsyncIterable<readonly StoredRow[]> | Iterable<readonly StoredRow[]>,
    options?: LoadOptions,
  ): Promise<LoadCount & { readonly complete: boolean }>;
  isLoaded(generation: LoadableGeneration): Promise<boolean>;
}

interface SweepCount {
  readonly generations: readonly string[];
  readonly keys: number;
}

/** All are safe to repeat, and reject `unavailable` if the online store does not answer. */
export interface GenerationSweeper {
  /**
   * Deletes a generation, in steps that do not delay reads; it never counts as loaded meanwhile. Returns the number of
   * deleted keys.
   */
  forget(generation: Pick<Generation, 'id' | 'buckets'>): Promise<number>;
  /**
   * Deletes all generations that are not listed; the cost depends on the number of generations, not of keys.
   * @param listKept ids that Postgres lists, of every state but dropped. Called after the generations in the store were
   * found, so that a generation that starts meanwhile is not deleted
   */
  sweep(listKept: () => Promise<readonly string[]>): Promise<SweepCount>;
  /** The same by a look at all keys, at a bounded rate: for keys of which the store has lost track. */
  sweepLost(listKept: () => Promise<readonly string[]>, signal?: AbortSignal): Promise<SweepCount>;
}

// Fills the online store with a generation from its committed rows: after a flush, a restore, or a run during which
// Redis was unavailable. The rate is bounded, since reads continue and are answered from Postgres.

export interface LoadGenerationDependencies {
  readonly generations: Pick<GenerationStore, 'find' | 'pages'>;
  readonly loader: GenerationLoader;
}

interface LoadReport {
  /** `interrupted`: Redis lost what was loaded meanwhile; the reconciler asks again. */
  readonly outcome: 'loaded' | 'nothing_to_do' | 'interrupted';
  readonly rows: number;
}

const PAGE_ROWS = 5_000;

/** @param onProgress called after each page */
export async function loadGeneration(
  { generations, loader }: LoadGenerationDependencies,
  generationId: string,
  onProgress: () => void = () => {},
): Promise<LoadReport> {
  const generation = await generations.find(generationId);
  if (generation?.state !== 'published') return { outcome: 'nothing_to_do', rows: 0 };
  if (await loader.isLoaded(generation)) return { outcome: 'nothing_to_do', rows: 0 };
  // Its chunks may have loaded all of it, and only the mark is missing.
  if (await loader.completeLoad(generation, generation.users)) return { outcome: 'loaded', rows: 0 };
  const pages = telling(generations.pages(generation, PAGE_ROWS), onProgress);
  const { loaded, complete } = await loader.loadGeneration(generation, pages);
  return { outcome: complete ? 'loaded' : 'interrupted', rows: loaded };
}

async function* telling(pages: AsyncIterable<readonly StoredRow[]>, onPage: () => void) {
  for await (const page of pages) {
    onPage();
    yield page;
  }
}
