/** What a config will have watched for a predictor. */
import type { CheckedPredictor } from '@tandem/admission/judge-predictor';
import type { WatchRequest } from '@tandem/offline-store/watch-source';

export function watchRequests({ name, watch }: Pick<CheckedPredictor, 'name' | 'watch'>): readonly WatchRequest[] {
  return watch.map(({ maxUsers, ...source }) => ({
    ...source,
    predictors: [name],
    actor: 'cli',
    ...(maxUsers === undefined ? {} : { maxUsers }),
  }));
}
