/** What a config will have watched for a predictor. */
import type { CheckedPredictor } from '@tandem/admission/judge-predictor';
import type { WatchRequest } from '@tandem/offline-store/sources/watch-source';

export function watchRequests({ name, policy }: Pick<CheckedPredictor, 'name' | 'policy'>): readonly WatchRequest[] {
  return (policy.watch ?? []).map((declared) => ({ ...declared, predictors: [name], actor: 'cli' }));
}
