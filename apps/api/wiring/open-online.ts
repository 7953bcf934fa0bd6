/** The API's connections to the online store, and what goes over them. */

import type { KeyType } from '@tandem/freshness/user-id';
import { createEventStore } from '@tandem/offline-store/events/events';
import { createOutcomeStore } from '@tandem/offline-store/rollouts/outcomes';
import { createErasures } from '@tandem/online-store/erasures';
import { createGenerationLoader } from '@tandem/online-store/generation-loader';
import { createMarkMemory } from '@tandem/online-store/mark-memory';
import { createOnlineConnection } from '@tandem/online-store/online-connection';
import { createHintStore, createOverlayStore } from '@tandem/online-store/overlay-store';
import { createOnlinePredictions } from '@tandem/online-store/predictions';
import type { HintStore } from '@tandem/prediction/events/events';
import { createLibraryLog, type Log } from '@tandem/telemetry/log';
import type { Metrics } from '@tandem/telemetry/metrics';
import { createRecordEvents } from '../routes/events/record-events.ts';
import { observeEvents, observeOnline } from './observe-stores.ts';

interface OnlineSettings {
  /** `commandTimeoutMs`: how long a read waits for Redis; the connection's own limit where it is not said. */
  readonly redis: { readonly url: string; readonly commandTimeoutMs?: number };
  readonly log: Log;
  readonly metrics: Metrics;
  /** Of the keys. */
  readonly prefix?: string;
}

/** How long an erasure waits for Redis to answer a batch of its deletes: a receipt is worth waiting for. */
const ERASING_MS = 2_000;

/** @param opened what is to be closed at the end is added to it */
export function openOnline({ redis, log, metrics, prefix }: OnlineSettings, opened: (() => unknown)[]) {
  const libraries = createLibraryLog(log);
  const open = (commandTimeoutMs?: number) => {
    const limit = commandTimeoutMs === undefined ? {} : { commandTimeoutMs };
    const connection = createOnlineConnection({ url: redis.url, log: libraries, ...limit });
    opened.push(() => connection.close());
    return { connection, ...(prefix === undefined ? {} : { prefix }) };
  };
  const named = open(redis.commandTimeoutMs);
  return {
    connection: named.connection,
    online: observeOnline(createOnlinePredictions({ ...named, log: libraries }), metrics),
    overlay: createOverlayStore(named),
    hints: createHintStore(named),
    markMemory: createMarkMemory(named),
    loader: createGenerationLoader(named),
    // Its deletes hold up no read.
    erasures: createErasures(open(ERASING_MS)),
  };
}

// What applications tell: events, and what users did.

/** An acknowledgement waits no longer than this. An event that is repeated with its id has no effect. */
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
