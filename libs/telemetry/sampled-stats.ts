/** The connections of a pool, sampled at each scrape. */
import type { Metrics } from './metrics.ts';

export interface ConnectionPool {
  readonly totalCount: number;
  readonly idleCount: number;
  readonly waitingCount: number;
}

export function sampleConnections(
  metrics: Pick<Metrics, 'poolConnections' | 'poolWaiting'>,
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

type InferenceGauges = Pick<
  Metrics,
  'inferenceQueueDepth' | 'inferenceSaturation' | 'modelsResting' | 'modelsHeld' | 'modelsHeldBytes'
>;

/** Returns a function for `onLoad` of inference pools. */
export function countLoads({ modelLoads, modelEvictions }: Pick<Metrics, 'modelLoads' | 'modelEvictions'>) {
  return (when: string, evicted: number): void => {
    modelLoads.inc({ when });
    modelEvictions.inc(evicted);
  };
}

export function sampleInference(metrics: InferenceGauges, stats: InferenceStats): void {
  const { processes, idle, waitingRows, restingModels, models } = stats;
  metrics.inferenceQueueDepth.set({ priority: 'live' }, waitingRows.live);
  metrics.inferenceQueueDepth.set({ priority: 'batch' }, waitingRows.batch);
  metrics.inferenceSaturation.set(processes === 0 ? 0 : (processes - idle) / processes);
  metrics.modelsResting.set(restingModels);
  metrics.modelsHeld.set(models.held);
  metrics.modelsHeldBytes.set(models.bytes);
}
