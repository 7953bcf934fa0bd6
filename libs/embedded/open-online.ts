/** Opens a reading process's connection to the online store, and the parts that use it. */

import { createMarkMemory } from '@tandem/online-store/mark-memory';
import { createOnlineConnection } from '@tandem/online-store/online-connection';
import { createOverlayStore } from '@tandem/online-store/overlay-store';
import { createOnlinePredictions } from '@tandem/online-store/predictions';
import { createLibraryLog, type Log } from '@tandem/telemetry/log';
import type { Metrics } from '@tandem/telemetry/metrics';
import { observeOnline } from './observe-stores.ts';

interface OnlineSettings {
  /** `commandTimeoutMs`: the longest time that a read waits for Redis; default: the connection's limit. */
  readonly redis: { readonly url: string; readonly commandTimeoutMs?: number };
  readonly log: Log;
  readonly metrics: Metrics;
  /** The prefix of the keys. */
  readonly prefix?: string;
}

export type OpenedOnline = ReturnType<typeof openOnline>;

/**
 * Opens the online store.
 * @param opened resources to close at the end; this function adds its own
 */
export function openOnline({ redis, log, metrics, prefix }: OnlineSettings, opened: (() => unknown)[]) {
  const libraries = createLibraryLog(log);
  const open = (commandTimeoutMs?: number) => {
    const limit = commandTimeoutMs === undefined ? {} : { commandTimeoutMs };
    const connection = createOnlineConnection({ url: redis.url, log: libraries, ...limit });
    opened.push(() => connection.close());
    return { connection, ...(prefix === undefined ? {} : { prefix }) };
  };
  const keys = open(redis.commandTimeoutMs);
  return {
    /** The connection with the prefix of its keys. */
    keys,
    /** Opens another connection with its own time limit. */
    open,
    connection: keys.connection,
    online: observeOnline(createOnlinePredictions({ ...keys, log: libraries }), metrics),
    overlay: createOverlayStore(keys),
    markMemory: createMarkMemory(keys),
  };
}
