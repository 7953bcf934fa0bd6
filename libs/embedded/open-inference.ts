/** Opens the inference children of a process: those for serving, and those for versions on trial. */

import { IsolatedPools } from '@tandem/inference/live/isolated-pools';
import { keepFiles } from '@tandem/inference/live/kept-files';
import { createInferencePool } from '@tandem/inference/live/pool';
import type { StoredRegistry } from '@tandem/offline-store/models/registry';
import { createLibraryLog, type Log } from '@tandem/telemetry/log';
import type { Metrics } from '@tandem/telemetry/metrics';
import { countLoads } from '@tandem/telemetry/sampled-stats';

export interface InferenceSettings {
  readonly processes: number;
  readonly memoryMb: number;
  readonly queueLimit: number;
  readonly batchLimit?: number;
  readonly threads?: number;
}

/**
 * Opens the children.
 * @param opened resources to close at the end; this function adds its own
 */
export function openInference(
  { inference, log, metrics }: { readonly inference: InferenceSettings; readonly log: Log; readonly metrics: Metrics },
  registry: StoredRegistry,
  opened: (() => unknown)[],
): IsolatedPools {
  const loadArtifact = keepFiles(registry.loadArtifact);
  const scorer = new IsolatedPools((options) =>
    createInferencePool({
      loadArtifact,
      log: createLibraryLog(log),
      onLoad: countLoads(metrics),
      onRestart: (why) => metrics.inferenceRestarts.inc({ why }),
      onRest: (predictor) => metrics.modelRests.inc({ predictor }),
      processes: inference.processes,
      memoryLimitMb: inference.memoryMb,
      maxQueue: inference.queueLimit,
      threads: inference.threads,
      ...(inference.batchLimit === undefined ? {} : { maxLiveRows: inference.batchLimit }),
      ...options,
    }),
  );
  opened.push(() => scorer.close());
  return scorer;
}
