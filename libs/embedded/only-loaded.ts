/** Limits live inference to loaded model versions, for a process that rollouts do not wait for. */
import type { LiveOutcome, LivePredictor } from '@tandem/freshness/live-predictor';
import type { KeptVersions } from '@tandem/prediction/processes/loaded-versions';

/** The outcome if the model is not loaded yet. Loading takes longer than a read waits, so the next rung answers. */
const NOT_LOADED: LiveOutcome = Object.freeze({
  kind: 'failed',
  reason: 'overloaded',
  detail: 'this process has not loaded the model version yet',
});

/** A live predictor that infers nothing. */
export const NOT_LIVE: LivePredictor = Object.freeze({ predict: async () => new Map() });

/**
 * Wraps a live predictor so that it infers only with loaded versions. For a read that needs another version, the
 * outcome is `overloaded`.
 */
export function onlyLoaded(live: LivePredictor, { isLoaded }: Pick<KeptVersions, 'isLoaded'>): LivePredictor {
  return {
    predict(request) {
      if (!request.enabled || isLoaded(request.version.id)) return live.predict(request);
      return Promise.resolve(new Map(request.readers.map(({ userId }) => [userId, NOT_LOADED])));
    },
  };
}

/** Returns a predicate for the versions that a process infers with. */
export function mayInfer(
  live: 'any' | 'loaded' | 'none',
  { isLoaded }: Pick<KeptVersions, 'isLoaded'>,
): (modelVersionId: string) => boolean {
  return { any: () => true, loaded: isLoaded, none: () => false }[live];
}
