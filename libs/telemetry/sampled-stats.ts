/** Metrics that each program samples at each scrape: its connections, and its inference processes. */
import type { Metrics } from './metrics.ts';

interface ConnectionPool {
  readonly totalCount: number;
  readonly idleCount: number;
  readonly waitingCount: number;
}

/** The parts of a program that are sampled. */
export interface SampledParts {
  readonly scorer: { stats(): InferenceStats };
  /** The connections of all pools except the pool of certificates. */
  readonly pool: ConnectionPool;
  /** The connections of statements with a feature query. */
  readonly features: ConnectionPool;
  isOnlineOpen(): boolean;
  /** Sets or raises further metrics, in order. */
  readonly samples: readonly (() => void | Promise<void>)[];
}

/** Returns the metrics of a program with an exposition that samples its parts. */
export function sampledMetrics(metrics: Metrics, app: 'api' | 'worker', parts: SampledParts): Metrics {
  return {
    ...metrics,
    async exposition() {
      for (const sample of parts.samples) await sample();
      sampleInference(metrics, parts.scorer.stats());
      sampleConnections(metrics, app, parts.pool);
      sampleConnections(metrics, 'features', parts.features);
      metrics.onlineStoreUp.set(parts.isOnlineOpen() ? 1 : 0);
      return metrics.exposition();
    },
  };
}

function sampleConnections(
  metrics: Metrics,
  name: string,
  { totalCount, idleCount, waitingCount }: ConnectionPool,
): void {
  metrics.poolConnections.set({ pool: name, state: 'used' }, totalCount - idleCount);
  metrics.poolConnections.set({ pool: name, state: 'idle' }, idleCount);
  metrics.poolWaiting.set({ pool: name }, waitingCount);
}

/** Statistics of a program's inference processes, sampled at each scrape. */
interface InferenceStats {
  readonly processes: number;
  readonly idle: number;
  readonly waitingRows: Readonly<Record<'live' | 'batch', number>>;
  readonly restingModels: number;
  readonly models: { readonly held: number; readonly bytes: number };
}

/** Returns a function for `onLoad` of inference pools. */
export function countLoads({ modelLoads, modelEvictions }: Pick<Metrics, 'modelLoads' | 'modelEvictions'>) {
  return (when: string, evicted: number): void => {
    modelLoads.inc({ when });
    modelEvictions.inc(evicted);
  };
}

function sampleInference(metrics: Metrics, stats: InferenceStats): void {
  const { processes, idle, waitingRows, restingModels, models } = stats;
  metrics.inferenceQueueDepth.set({ priority: 'live' }, waitingRows.live);
  metrics.inferenceQueueDepth.set({ priority: 'batch' }, waitingRows.batch);
  metrics.inferenceSaturation.set(processes === 0 ? 0 : (processes - idle) / processes);
  metrics.modelsResting.set(restingModels);
  metrics.modelsHeld.set(models.held);
  metrics.modelsHeldBytes.set(models.bytes);
}

/** Returns a sample that raises a counter to a count since the start. */
export function raising(counter: { inc(by: number): void }, count: () => number): () => void {
  let told = 0;
  return () => {
    const now = count();
    counter.inc(now - told);
    told = now;
  };
}
