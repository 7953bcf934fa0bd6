/**
 * Opens the counts of a reading process, which are flushed every few seconds: reads of each user, and answers of
 * rollouts.
 */
import { randomUUID } from 'node:crypto';
import { createReadCountStore } from '@tandem/offline-store/reads/read-demand';
import { createArmCountStore } from '@tandem/offline-store/rollouts/arm-counts';
import { createExposureStore } from '@tandem/offline-store/rollouts/exposures';
import { createReadCounts, type ReadCounts } from '@tandem/prediction/demand/count-reads';
import {
  createServedReads,
  type ServedReads,
  type ServedReadsDependencies,
} from '@tandem/prediction/rollouts/count-served-reads';
import type { Log } from '@tandem/telemetry/log';
import type { Metrics } from '@tandem/telemetry/metrics';
import { serialiseRefusal } from '@tandem/telemetry/serialise-error';

interface CountsParts {
  readonly pool: Parameters<typeof createArmCountStore>[0];
  readonly metrics: Pick<Metrics, 'servedFlushes'>;
  readonly log: Pick<Log, 'warn'>;
  readonly assignments: ServedReadsDependencies['assignments'];
  readonly mayInfer?: ServedReadsDependencies['mayInfer'];
  /** Milliseconds between two flushes. */
  readonly flushMs?: number;
}

/**
 * Opens the counts.
 * @param opened resources to close at the end; this function adds its own
 */
export function openCounts(
  { pool, metrics, log, assignments, mayInfer, flushMs }: CountsParts,
  opened: (() => unknown)[],
): { readonly servedReads: ServedReads; readonly readCounts: ReadCounts } {
  const servedReads = createServedReads({
    counts: createArmCountStore(pool),
    exposures: createExposureStore(pool),
    assignments,
    mayInfer,
    newId: randomUUID,
    now: () => performance.now(),
    ...(flushMs === undefined ? {} : { flushMs }),
    onFlush(outcome, error) {
      metrics.servedFlushes.inc({ outcome });
      if (outcome === 'failed') log.warn('served_reads.not_kept', { error: serialiseRefusal(error) });
    },
  });
  opened.push(() => servedReads.close());
  const readCounts = createReadCounts({ store: createReadCountStore(pool), random: Math.random });
  opened.push(() => readCounts.close());
  return { servedReads, readCounts };
}
