/**
 * Fills the online store with a generation from its committed rows: after a flush, a restore, or a run during which
 * Redis was away. At a bounded rate, since reads go on meanwhile and are answered from Postgres.
 */
import type { GenerationLoader } from './generation-loader.ts';
import type { GenerationStore } from './run-store.ts';

export interface LoadGenerationDependencies {
  readonly generations: Pick<GenerationStore, 'find' | 'pages'>;
  readonly loader: GenerationLoader;
  readonly pageSize?: number;
  readonly maxRowsPerSecond?: number;
  /** Waits that many ms. */
  pause(ms: number): Promise<void>;
}

export interface LoadReport {
  /** `interrupted`: Redis lost what was loaded meanwhile; the reconciler asks again. */
  readonly outcome: 'loaded' | 'nothing_to_do' | 'interrupted';
  readonly rows: number;
}

/** @param onProgress told after each page */
export async function loadGeneration(
  dependencies: LoadGenerationDependencies,
  generationId: string,
  onProgress: () => void = () => {},
): Promise<LoadReport> {
  const { generations, loader, pageSize = 5_000, maxRowsPerSecond = 200_000, pause } = dependencies;
  const generation = await generations.find(generationId);
  if (generation?.state !== 'published') return { outcome: 'nothing_to_do', rows: 0 };
  if (await loader.isLoaded(generation)) return { outcome: 'nothing_to_do', rows: 0 };
  const token = await loader.beginLoad(generation);
  const started = performance.now();
  let rows = 0;
  for await (const page of generations.pages(generation, pageSize)) {
    await loader.loadRows(generation, page);
    rows += page.length;
    onProgress();
    const ahead = (rows / maxRowsPerSecond) * 1000 - (performance.now() - started);
    if (ahead > 1) await pause(ahead);
  }
  return { outcome: (await loader.endLoad(generation, token)) ? 'loaded' : 'interrupted', rows };
}
