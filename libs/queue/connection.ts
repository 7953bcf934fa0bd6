/** Connections to the queue's Redis: one kind for producers, who must not wait, one for workers, who must not give up. */
import { Redis } from 'ioredis';

/** All keys of the queues share a hash tag, so that BullMQ's scripts work on a cluster as well. */
export const DEFAULT_PREFIX = '{tandem}';

const COMMAND_TIMEOUT_MS = 1_000;
const CONNECT_TIMEOUT_MS = 1_000;
/** Longer than BullMQ blocks for a job (5 s): a connection silent for that long is dead and made anew. */
const WORKER_SILENCE_MS = 15_000;

/** Fails at once while Redis does not answer. */
export function connectProducer(url: string): Redis {
  return new Redis(url, {
    connectionName: 'tandem-queue-producer',
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: COMMAND_TIMEOUT_MS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    retryStrategy,
  });
}

/** Waits for Redis however long it is away, as BullMQ's workers need it. */
export function connectWorker(url: string): Redis {
  return new Redis(url, {
    connectionName: 'tandem-queue-worker',
    maxRetriesPerRequest: null,
    connectTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: WORKER_SILENCE_MS,
    keepAlive: 5_000,
    retryStrategy,
  });
}

function retryStrategy(times: number): number {
  return Math.min(50 * 2 ** Math.min(times, 6), 1_000);
}
