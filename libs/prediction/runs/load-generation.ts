/**
 * Fills the online store with a generation from its committed rows: after a flush, a restore, or a run during which
 * Redis was away. At a bounded rate, since reads go on meanwhile and are answered from Postgres.
 */
import type { GenerationLoader } from './generation-loader.ts';
import type { GenerationStore, StoredRow } from './run-store.ts';

export interface LoadGenerationDependencies {
  readonly generations: Pick<GenerationStore, 'find' | 'pages'>;
  readonly loader: GenerationLoader;
}

export interface LoadReport {
  /** `interrupted`: Redis lost what was loaded meanwhile; the reconciler asks again. */
  readonly outcome: 'loaded' | 'nothing_to_do' | 'interrupted';
  readonly rows: number;
}

const PAGE_ROWS = 5_000;

/** @param onProgress told of each page */
export async function loadGeneration(
  { generations, loader }: LoadGenerationDependencies,
  generationId: string,
  onProgress: () => void = () => {},
): Promise<LoadReport> {
  const generation = await generations.find(generationId);
  if (generation?.state !== 'published') return { outcome: 'nothing_to_do', rows: 0 };
  if (await loader.isLoaded(generation)) return { outcome: 'nothing_to_do', rows: 0 };
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
