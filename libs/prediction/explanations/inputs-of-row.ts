/** One user's inputs out of the features that were read of several. */
import type { InferenceInputs } from '@tandem/freshness/live-predictor';
import type { KeptInputs } from './kept-explanation.ts';

export function inputsOfRow({ batch, row }: InferenceInputs, read: KeptInputs['read']): KeptInputs {
  const events = new Map(batch.fromEvents?.get(row)?.map(({ column, entry }) => [column, entry]));
  return {
    read,
    readAt: batch.readAt,
    history: batch.history,
    contextVersion: batch.contextVersions[row] ?? 0,
    features: batch.columns.map(({ name }, i) => {
      const entry = events.get(i);
      const event = entry ? { source: entry.source, id: entry.id, time: entry.time, accepted: entry.accepted } : null;
      return { name, value: batch.values[i]?.[row] ?? null, event };
    }),
    fault: batch.faults.get(row) ?? null,
  };
}
