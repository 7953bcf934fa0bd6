/** Counts the reads of each user, flushed every few seconds. The most read users are computed first. */
import { createReadCountStore } from '@tandem/offline-store/reads/read-demand';
import { createReadCounts } from '@tandem/prediction/demand/count-reads';
import { raising } from '@tandem/telemetry/sampled-stats';
import type { OpenObserver } from './observe-answers.ts';

export const observeDemand: OpenObserver = ({ pool, metrics }) => {
  const counts = createReadCounts({ store: createReadCountStore(pool), random: Math.random });
  return {
    onAnswer({ userId, result, features }) {
      // Other features are not a demand for stored predictions, since none can answer it.
      if (features === 'stored') counts.note(userId, result);
    },
    close: () => counts.close(),
    sample: raising(metrics.readCountsDropped, () => counts.dropped()),
  };
};
