/** What applications tell: events, and what users did. */

import type { KeyType } from '@tandem/freshness/user-id';
import { createEventStore } from '@tandem/offline-store/events/events';
import { createOutcomeStore } from '@tandem/offline-store/rollouts/outcomes';
import type { HintStore } from '@tandem/prediction/events/events';
import type { Metrics } from '@tandem/telemetry/metrics';
import { createRecordEvents } from '../routes/events/record-events.ts';
import { observeEvents } from './observe-stores.ts';

/** Nobody waits longer for an acknowledgement: what is repeated with its id costs nothing. */
const LIMIT = Object.freeze({ withinMs: 3_000 });

interface WritingParts {
  readonly pool: Parameters<typeof createEventStore>[0];
  readonly hints: HintStore;
  keyType(): Promise<KeyType | null>;
  readonly metrics: Pick<Metrics, 'eventAccept' | 'eventHint' | 'hintsFailed'>;
}

export function openWriting({ pool, hints, keyType, metrics }: WritingParts) {
  return {
    recordEvents: createRecordEvents({
      events: observeEvents(createEventStore(pool, LIMIT), metrics),
      hints,
      keyType,
      onHint(seconds, outcome) {
        metrics.eventHint.observe({ outcome }, seconds);
        if (outcome === 'failed') metrics.hintsFailed.inc();
      },
    }),
    outcomes: createOutcomeStore(pool, LIMIT),
  };
}
