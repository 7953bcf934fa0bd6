/** Opens the dependencies that write to the stores: events, erasures, generations in Redis. */

import type { PredictionMemory } from '@tandem/freshness/prediction-memory';
import type { KeyType } from '@tandem/freshness/user-id';
import { createEventStore } from '@tandem/offline-store/events/events';
import { createErasureStore } from '@tandem/offline-store/users/erasures';
import { findUserContext } from '@tandem/offline-store/users/user-context';
import { createErasures } from '@tandem/online-store/erasures';
import { OnlineGenerationLoader } from '@tandem/online-store/generation-loader';
import { createHintStore } from '@tandem/online-store/overlay-store';
import { createCount } from '@tandem/online-store/told-counts';
import { createEraseUser } from '@tandem/prediction/erasure/erase-user';
import type { HintStore } from '@tandem/prediction/events/events';
import { observeEvents } from '@tandem/reading/observe-stores';
import type { OpenedOnline } from '@tandem/reading/open-reading';
import type { Metrics } from '@tandem/telemetry/metrics';
import { createRecordEvents } from './record-events.ts';

/** Milliseconds that an erasure or a withdrawal waits for Redis, which must confirm it before the caller is answered. */
const CONFIRMING_MS = 2_000;

/** Opens the stores of Redis that only an API has. */
export function openOnlineWriting({ keys, open }: Pick<OpenedOnline, 'keys' | 'open'>) {
  // The connection is separate, so that the deletes delay no read.
  const confirming = open(CONFIRMING_MS);
  return {
    hints: createHintStore(keys),
    loader: new OnlineGenerationLoader(keys),
    erasures: createErasures(confirming),
    withdrawals: createCount('withdrawals', confirming),
  };
}

/**
 * Limits how long an acknowledgement waits. A sender can repeat an event, because the same id has no further effect.
 */
const WITHIN_MS = 3_000;

interface WritingParts {
  readonly pool: Parameters<typeof createEventStore>[0];
  readonly hints: HintStore;
  keyType(): Promise<KeyType | null>;
  readonly metrics: Pick<Metrics, 'eventAccept' | 'eventHint' | 'hintsFailed'>;
  /** How long an acknowledgement waits, in ms; absent: a default. */
  readonly limitMs?: number | undefined;
}

export function openWriting({ pool, hints, keyType, metrics, limitMs = WITHIN_MS }: WritingParts) {
  const limit = { withinMs: limitMs };
  return {
    recordEvents: createRecordEvents({
      events: observeEvents(createEventStore(pool, limit), metrics),
      hints,
      keyType,
      onHint(seconds, outcome) {
        metrics.eventHint.observe({ outcome }, seconds);
        if (outcome === 'failed') metrics.hintsFailed.inc();
      },
    }),
    pool,
    acknowledgeWithinMs: limitMs,
  };
}

type Pool = WritingParts['pool'];

/** Opens the dependencies of erasing, readmitting and showing users. */
export function openUsers(pool: Pool, online: ReturnType<typeof createErasures>, memory: PredictionMemory) {
  const store = createErasureStore(pool);
  return {
    eraseUser: createEraseUser({ store, online, memory }),
    readmitUser: store.readmit,
    findUserContext: (userId: string) => findUserContext(pool, userId),
  };
}
