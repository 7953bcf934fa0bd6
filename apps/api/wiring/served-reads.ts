/** What is served during rollouts, counted and written down by this process. */
import { randomUUID } from 'node:crypto';
import { createArmCountStore } from '@tandem/offline-store/rollouts/arm-counts';
import { createExposureStore } from '@tandem/offline-store/rollouts/exposures';
import {
  createServedReads,
  type ServedReads,
  type ServedReadsDependencies,
} from '@tandem/prediction/rollouts/count-served-reads';
import type { Log } from '@tandem/telemetry/log';
import type { Metrics } from '@tandem/telemetry/metrics';
import { serialiseRefusal } from '@tandem/telemetry/serialise-error';

export interface ServedReadsParts {
  readonly pool: Parameters<typeof createArmCountStore>[0];
  readonly metrics: Pick<Metrics, 'servedFlushes'>;
  readonly log: Pick<Log, 'warn'>;
  readonly assignments: ServedReadsDependencies['assignments'];
  /** Milliseconds between two times that it is written down. */
  readonly flushMs?: number;
}

export function openServedReads({ pool, metrics, log, assignments, flushMs }: ServedReadsParts): ServedReads {
  return createServedReads({
    counts: createArmCountStore(pool),
    exposures: createExposureStore(pool),
    assignments,
    newId: randomUUID,
    now: () => performance.now(),
    ...(flushMs === undefined ? {} : { flushMs }),
    onFlush(outcome, error) {
      metrics.servedFlushes.inc({ outcome });
      if (outcome === 'failed') log.warn('served_reads.not_kept', { error: serialiseRefusal(error) });
    },
  });
}
