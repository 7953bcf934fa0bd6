/** Opens the keeper of explanations, and the dependencies for showing and replaying explanations. */

import type { AnswerObserver } from '@tandem/embedded/observe-answers';
import { TandemError } from '@tandem/freshness/errors';
import type { FeatureBatch } from '@tandem/freshness/features';
import type { OutputTensors } from '@tandem/freshness/outputs';
import type { ModelVersion } from '@tandem/freshness/predictor';
import { createIdleScorer } from '@tandem/inference/live/idle-scorer';
import { createInferencePool } from '@tandem/inference/live/pool';
import { createExplanationStore, createInputSource } from '@tandem/offline-store/explanations/kept-explanations';
import { findProvenance } from '@tandem/offline-store/features/provenance';
import type { StoredRegistry } from '@tandem/offline-store/models/registry';
import { createExplanationKeeper, type ExplanationKeeper } from '@tandem/prediction/explanations/explanation-keeper';
import type { EventName } from '@tandem/telemetry/log';
import type { Metrics } from '@tandem/telemetry/metrics';
import { serialiseRefusal } from '@tandem/telemetry/serialise-error';
import { OneAtATime } from '@tandem/timing/one-at-a-time';
import type { ApiSettings } from './api-settings.ts';
import type { ApiPools } from './open-pools.ts';

/**
 * Opens the keeper, which connects when there is an answer to keep.
 * @param pools their connections for work after replies are separate from those of reads
 */
export function openExplanationKeeper(
  { log, metrics, limitMs }: ApiSettings,
  { background, backgroundFeatures }: ApiPools,
): ExplanationKeeper {
  return createExplanationKeeper({
    store: createExplanationStore(background),
    inputs: createInputSource(background, backgroundFeatures, limitMs),
    counted: (predictor, outcome, answers) => metrics.keptExplanations.inc({ predictor, outcome }, answers),
    notKept: (error) => log.warn('explanations.not_kept', { error: serialiseRefusal(error) }),
  });
}

/** Returns the observer that lets the keeper choose answers. */
export function observeForKeeper(keeper: ExplanationKeeper, metrics: Metrics): AnswerObserver {
  return {
    onAnswer({ predictor, result, features }) {
      if (features !== 'candidates' && !(result instanceof TandemError)) keeper.notice(result, predictor);
    },
    close: () => keeper.close(),
    sample: () => metrics.explanationsWaiting.set(keeper.waiting()),
  };
}

/**
 * Opens the dependencies for showing and replaying explanations.
 * @param opened resources to close at the end, to which this function adds its own
 */
export function openExplanations(
  settings: ApiSettings,
  { pool, features }: ApiPools,
  registry: StoredRegistry,
  opened: (() => unknown)[],
) {
  const replayScorer = openReplayScorer(settings, registry);
  opened.push(() => replayScorer.close());
  return {
    explainFeatures: (version: ModelVersion, userId: string) => findProvenance(features, version, userId),
    explanations: createExplanationStore(pool),
    replayScorer,
  };
}

// Inference for replays, in a separate process with a higher nice value than the serving children. It exists only while
// replays are requested. So it never loads an old model into a serving process, and a model that hangs delays no read.
// One replay runs at a time, and a few may wait.

export type ReplayScorer = ReturnType<typeof openReplayScorer>;

const MOST_WAITING = 8;
/** The most CPU time of an inference run, in ms. Loading the model has a separate limit. */
const RUN_MS = 5_000;
const IDLE_MS = 60_000;

function openReplayScorer({ inference, log }: ApiSettings, registry: StoredRegistry) {
  const scorer = createIdleScorer((options) =>
    createInferencePool({
      loadArtifact: (hash) => registry.loadArtifact(hash),
      // No answer depends on replays, so their failures are not warnings.
      log: (event, fields) => log.info(event as EventName, { ...fields, replay: true }),
      memoryLimitMb: inference.memoryMb,
      ...options,
    }),
  );
  const replays = new OneAtATime({ mayWait: MOST_WAITING, refuse: busy });
  let idle: NodeJS.Timeout | undefined;

  async function infer(version: ModelVersion, batch: FeatureBatch): Promise<OutputTensors> {
    await scorer.ready(version);
    const { tensors } = await scorer.score({ version, batch, rows: [0], timeoutMs: RUN_MS, priority: 'batch' });
    return tensors;
  }

  function leave(): void {
    clearTimeout(idle);
    if (replays.isIdle) idle = setTimeout(() => void scorer.rest(), IDLE_MS).unref();
  }

  return {
    /** Infers the only user of a batch. Rejects as a Scorer does, and with `overloaded` if too many replays wait. */
    infer(version: ModelVersion, batch: FeatureBatch) {
      clearTimeout(idle);
      return replays.run(() => infer(version, batch)).finally(leave);
    },
    async close() {
      clearTimeout(idle);
      await scorer.rest();
    },
  };
}

function busy(): TandemError {
  return new TandemError('overloaded', `${MOST_WAITING} other replays are waiting, which is the limit.`, {
    retryAfter: 5,
    remedy: 'retry after the time in Retry-After',
  });
}
