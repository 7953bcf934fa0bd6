/** The connections of a pool, looked at when Prometheus asks. */
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
