/** B9: once all chunks are committed, checks and publishes what a run made. Safe to repeat, and by several at once. */
import type { GenerationLoader } from './generation-loader.ts';
import type { RunHints } from './run-hints.ts';
import type { PublishOutcome, RunStore } from './run-store.ts';

export interface PublishRunDependencies {
  readonly runs: Pick<RunStore, 'publish'>;
  readonly loader: Pick<GenerationLoader, 'isLoaded'>;
  readonly hints: RunHints;
}

/** Null while chunks are open. */
export async function publishRun(dependencies: PublishRunDependencies, runId: string): Promise<PublishOutcome | null> {
  const { runs, loader, hints } = dependencies;
  const outcome = await runs.publish(runId);
  if (!outcome?.generation) return outcome;
  const isLoaded = await loader.isLoaded(outcome.generation).catch(() => false);
  if (!isLoaded) await hints.load(outcome.generation.id);
  return outcome;
}
