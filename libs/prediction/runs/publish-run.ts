/**
 * B9: once all chunks are committed, checks and publishes what a run made. Safe to repeat, and by several at once.
 * It does not wait for Redis: what is missing there, the reconciler has loaded.
 */
import type { GenerationLoader } from './generation-loader.ts';
import type { PublishOutcome, RunStore } from './run-store.ts';

export interface PublishRunDependencies {
  readonly runs: Pick<RunStore, 'publish'>;
  readonly loader: Pick<GenerationLoader, 'completeLoad'>;
}

/** Null while chunks are open. `loaded`: whether the online store holds all of the new generation already. */
export async function publishRun(
  { runs, loader }: PublishRunDependencies,
  runId: string,
): Promise<(PublishOutcome & { readonly loaded: boolean }) | null> {
  const outcome = await runs.publish(runId);
  if (!outcome) return null;
  const { generation } = outcome;
  const loaded = generation !== null && (await loader.completeLoad(generation, generation.users).catch(() => false));
  return { ...outcome, loaded };
}
