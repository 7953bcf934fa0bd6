/** Runs one relay of the outbox in a thread, as a worker does. Each message says for how many ms to relay. */
import { parentPort, workerData } from 'node:worker_threads';
import { createOutbox } from '@tandem/offline-store/events/outbox';
import { createPool } from '@tandem/offline-store/sql/database';
import { createOnlineConnection } from '@tandem/online-store/online-connection';
import { createHintStore } from '@tandem/online-store/overlay-store';
import { relayOutbox } from '@tandem/prediction/events/relay-outbox';
import type { BenchServers } from '../service.ts';

const { DATABASE_URL, REDIS_URL } = workerData as BenchServers['env'];
const outbox = createOutbox(createPool({ url: DATABASE_URL, max: 2, applicationName: 'bench-relay' }));
const connection = createOnlineConnection({ url: REDIS_URL, log: () => {}, commandTimeoutMs: 5_000 });
await connection.whenReady(10_000);
const hints = createHintStore({ connection });

parentPort?.on('message', (forMs: number) => {
  relayOutbox(outbox, hints, { forMs }).then(
    (relayed) => parentPort?.postMessage({ relayed }),
    (error: unknown) => parentPort?.postMessage({ error: String(error) }),
  );
});
parentPort?.postMessage({ relayed: 0 });
