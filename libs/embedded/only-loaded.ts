/** Live inference for a process that no rollout waits for: with the model versions that it has loaded, and no others. */
import type { LiveOutcome, LivePredictor } from '@tandem/freshness/live-predictor';
import type { KeptVersions } from '@tandem/prediction/rollouts/loaded-versions';

/** The outcome where a model is still to be loaded, which takes longer than a read waits: the rungs below answer. */
const NOT_LOADED: LiveOutcome = Object.freeze({
  kind: 'failed',
  reason: 'overloaded',
  detail: 'this process has not loaded the model version yet',
});

/** A predictor that infers nothing. */
export const NOT_LIVE: LivePredictor = Object.freeze({ predict: async () => new Map() });

/** Limits live inference to loaded versions; a read of any other is `overloaded`. */
export function onlyLoaded(live: LivePredictor, { isLoaded }: Pick<KeptVersions, 'isLoaded'>): LivePredictor {
  return {
    predict(request) {
      if (!request.enabled || isLoaded(request.version.id)) return live.predict(request);
      return Promise.resolve(new Map(request.readers.map(({ userId }) => [userId, NOT_LOADED])));
    },
  };
}

/** Returns which versions a process infers live with; undefined: with any. */
export function mayInfer(
  live: 'any' | 'loaded' | 'none',
  { isLoaded }: Pick<KeptVersions, 'isLoaded'>,
): ((modelVersionId: string) => boolean) | undefined {
  return { any: undefined, loaded: isLoaded, none: () => false }[live];
}
