/**
 * Inference for answers that are computed again: in a process of its own, nicer than those that serve, which is there
 * while somebody asks and no longer. So a model that nobody serves any more is loaded beside no other, and one that hangs
 * holds up no read. One replay at a time; a few may wait.
 */

import { TandemError } from '@tandem/freshness/errors';
import type { FeatureBatch } from '@tandem/freshness/features';
import type { OutputTensors } from '@tandem/freshness/outputs';
import type { ModelVersion } from '@tandem/freshness/predictor';
import { createInferencePool } from '@tandem/inference/live/pool';
import type { StoredRegistry } from '@tandem/offline-store/models/registry';
import type { EventName, Log } from '@tandem/telemetry/log';
import { createShadowScorer } from './shadow-scorer.ts';

export interface ReplayScorer {
  /** Infers the one user of a batch. Rejects as a Scorer does, and with `overloaded` where too many wait. */
  infer(version: ModelVersion, batch: FeatureBatch): Promise<OutputTensors>;
  close(): Promise<void>;
}

export interface ReplaySettings {
  readonly inference: { readonly memoryMb: number };
  readonly log: Log;
}

const MOST_WAITING = 8;
/** CPU time of a run; loading the model has its own limit. */
const RUN_MS = 5_000;
const IDLE_MS = 60_000;

export function openReplayScorer({ inference, log }: ReplaySettings, registry: StoredRegistry): ReplayScorer {
  const scorer = createShadowScorer((options) =>
    createInferencePool({
      loadArtifact: (hash) => registry.loadArtifact(hash),
      // Nobody's answer depends on it, so nothing here is a warning.
      log: (event, fields) => log.info(event as EventName, { ...fields, replay: true }),
      memoryLimitMb: inference.memoryMb,
      ...options,
    }),
  );
  let last: Promise<unknown> = Promise.resolve();
  let inside = 0;
  let idle: NodeJS.Timeout | undefined;

  async function infer(version: ModelVersion, batch: FeatureBatch): Promise<OutputTensors> {
    await scorer.ready(version);
    const { tensors } = await scorer.score({ version, batch, rows: [0], timeoutMs: RUN_MS, priority: 'batch' });
    return tensors;
  }

  function leave(): void {
    inside--;
    if (inside === 0) idle = setTimeout(() => void scorer.rest(), IDLE_MS).unref();
  }

  return {
    async infer(version, batch) {
      if (inside > MOST_WAITING) throw busy();
      inside++;
      clearTimeout(idle);
      const mine = last.then(() => infer(version, batch));
      last = mine.catch(() => undefined);
      return mine.finally(leave);
    },
    async close() {
      clearTimeout(idle);
      await scorer.rest();
    },
  };
}

function busy(): TandemError {
  return new TandemError('overloaded', `Another ${MOST_WAITING} answers wait to be computed again.`, { retryAfter: 5 });
}
