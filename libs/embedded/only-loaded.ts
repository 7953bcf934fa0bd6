/** Live inference for a process that no rollout waits for: with the model versions that it has loaded, and no others. */
import type { LiveOutcome, LivePredictor } from '@tandem/freshness/live-predictor';
import type { KeptVersions } from '@tandem/prediction/rollouts/loaded-versions';

/** To load a model takes longer than a read waits; the answer is that of the rungs below live inference. */
const NOT_LOADED: LiveOutcome = Object.freeze({
  kind: 'failed',
  reason: 'overloaded',
  detail: 'this process has not loaded the model version yet',
});

/** Infers nothing. */
export const NOT_LIVE: LivePredictor = Object.freeze({ predict: async () => new Map() });

/** Asks for nothing where the model version is not loaded. */
export function onlyLoaded(live: LivePredictor, { isLoaded }: Pick<KeptVersions, 'isLoaded'>): LivePredictor {
  return {
    predict(request) {
      if (!request.enabled || isLoaded(request.version.id)) return live.predict(request);
      return Promise.resolve(new Map(request.readers.map(({ userId }) => [userId, NOT_LOADED])));
    },
  };
}
