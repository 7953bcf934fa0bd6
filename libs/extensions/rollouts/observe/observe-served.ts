/** Counts the answers of rollouts, flushed every few seconds. */
import { randomUUID } from 'node:crypto';
import type { AnswerObserver, ReadingHost } from '@tandem/reading/observe-answers';
import { raising } from '@tandem/telemetry/sampled-stats';
import { serialiseRefusal } from '@tandem/telemetry/serialise-error';
import { metrics as ROLLOUT_METRICS } from '../metrics.ts';
import { createServedReads } from '../rules/count-served-reads.ts';
import { createArmCountStore } from '../statements/arm-counts.ts';
import { createExposureStore } from '../statements/exposures.ts';

type CountHost = Pick<ReadingHost, 'pool' | 'metrics' | 'log' | 'assignments' | 'mayInfer'>;

/**
 * Opens the counts.
 * @param flushMs milliseconds between two flushes; default: those of the counts
 */
export function observeServed(
  { pool, metrics, log, assignments, mayInfer }: CountHost,
  flushMs?: number,
): AnswerObserver {
  const { servedFlushes, exposuresDropped } = metrics.register(ROLLOUT_METRICS);
  const served = createServedReads({
    counts: createArmCountStore(pool),
    exposures: createExposureStore(pool),
    assignments,
    mayInfer,
    newId: randomUUID,
    now: () => performance.now(),
    ...(flushMs === undefined ? {} : { flushMs }),
    onFlush(outcome, error) {
      servedFlushes.inc({ outcome });
      if (outcome === 'failed') log.warn('served_reads.not_kept', { error: serialiseRefusal(error) });
    },
  });
  return {
    onAnswer: (answered) => served.note(answered),
    close: () => served.close(),
    sample: raising(exposuresDropped, () => served.dropped()),
  };
}
