/**
 * The ports to the part of the online store that holds generations. Its rows are committed in Postgres first, so loads
 * may be repeated, and lost rows are loaded again.
 */
import type { Generation } from './generations.ts';
import type { GenerationStore, StoredRow } from './run-store.ts';
import type { ScoredUsers } from './scored-users.ts';

export type LoadableGeneration = Pick<Generation, 'id' | 'buckets' | 'startedAt'> & Partial<Pick<Generation, 'baseId'>>;

/** The committed rows of one chunk. */
export interface ScoredPage {
  readonly users: ScoredUsers;
  /** The time at which the features were read, in ms since 1970. */
  readonly computedAt: number;
}

export interface LoadCount {
  readonly loaded: number;
  /**
   * Rows that the store's layout cannot represent, since they were computed before the generation started. They stay
   * only in Postgres.
   */
  readonly skipped: number;
}

export interface LoadOptions {
  /** The maximum number of rows a second, since reads share the server. Default 100,000. */
  readonly rowsPerSecond?: number;
  readonly signal?: AbortSignal;
}

/**
 * Port: loads generations. Rejects with `unavailable` if the online store does not answer or rejects a command. The
 * load must then begin again.
 */
export interface GenerationLoader {
  /** Writes committed rows into the generation's buckets. Existing rows stay unchanged. */
  loadRows(generation: LoadableGeneration, rows: readonly StoredRow[]): Promise<LoadCount>;
  /** Writes the committed rows of several chunks, like `loadRows`. */
  loadScored(generation: LoadableGeneration, pages: readonly ScoredPage[]): Promise<LoadCount>;
  /**
   * Marks the generation as complete if it has this many users; returns false if some are missing. For a generation
   * with a base, each bucket is marked, too. A user without a row in a marked bucket belongs to the base.
   */
  completeLoad(generation: LoadableGeneration, users: number): Promise<boolean>;
  /** Loads all rows at a limited rate. `complete` is false if the store lost rows during the load. */
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

/**
 * Port: deletes generations. All calls are safe to repeat, and reject with `unavailable` if the online store does not
 * answer.
 */
export interface GenerationSweeper {
  /**
   * Deletes a generation in steps that do not delay reads. From the first step on, it does not count as loaded. Returns
   * the number of deleted keys.
   */
  forget(generation: Pick<Generation, 'id' | 'buckets'>): Promise<number>;
  /**
   * Deletes all generations that are not listed. The cost depends on the number of generations, not on the number of
   * keys.
   * @param listKept returns the ids in Postgres of every state except dropped. It is called after the store's
   * generations were listed, so that a generation that starts in between is not deleted
   */
  sweep(listKept: () => Promise<readonly string[]>): Promise<SweepCount>;
  /**
   * Scans all keys at a limited rate, and deletes keys of generations that `listKept` omits, even if the store does not
   * list these generations.
   */
  sweepLost(listKept: () => Promise<readonly string[]>, signal?: AbortSignal): Promise<SweepCount>;
}

// A generation is loaded into the online store from its committed rows after a flush, a restore, or a run during which
// Redis was unavailable. The rate is limited, since reads continue and are answered from Postgres.

export interface LoadGenerationDependencies {
  readonly generations: Pick<GenerationStore, 'find' | 'pages'>;
  readonly loader: GenerationLoader;
}

interface LoadReport {
  /** `interrupted`: Redis lost rows during the load; the reconciler requests another load. */
  readonly outcome: 'loaded' | 'nothing_to_do' | 'interrupted';
  readonly rows: number;
}

const PAGE_ROWS = 5_000;

/**
 * Loads a generation into the online store.
 * @param onProgress called for each page
 */
export async function loadGeneration(
  { generations, loader }: LoadGenerationDependencies,
  generationId: string,
  onProgress: () => void = () => {},
): Promise<LoadReport> {
  const generation = await generations.find(generationId);
  if (generation?.state !== 'published') return { outcome: 'nothing_to_do', rows: 0 };
  if (await loader.isLoaded(generation)) return { outcome: 'nothing_to_do', rows: 0 };
  // The chunks may have loaded all rows, so that only the mark is missing.
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
