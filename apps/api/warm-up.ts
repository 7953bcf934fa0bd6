/** Loads the models in force, so that a live read does not wait for it. What cannot be loaded now is loaded when needed. */
import type { InferencePool } from '@tandem/inference/pool';
import type { StoredRegistry } from '@tandem/offline-store/registry';
import type { Authority } from '@tandem/prediction/certificate';

export interface WarmUpDependencies {
  readonly registry: Pick<StoredRegistry, 'predictors' | 'modelVersion'>;
  readonly authority: Authority;
  readonly scorer: Pick<InferencePool, 'warmUp'>;
}

/** Rejects where Postgres does not answer, or a model cannot be loaded. */
export async function warmUp({ registry, authority, scorer }: WarmUpDependencies): Promise<void> {
  const certificate = await authority.certify([]);
  // Behind the certificate, which tells the registry of adoptions: this is asked again until there is something to load.
  for (const { name } of await registry.predictors()) {
    const assignment = certificate.assignment(name);
    if (assignment) await scorer.warmUp(await registry.modelVersion(assignment.modelVersionId));
  }
}
