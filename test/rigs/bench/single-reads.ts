/**
 * Reads one user at a time over one connection, from a thread of its own. The answers of large reads, which the main thread
 * receives meanwhile, therefore do not delay the measurement.
 */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type LoadResult, load } from './load.ts';
import { createUserPicker } from './pick-users.ts';
import { FIRST_USER } from './predictors.ts';

interface SingleReads {
  readonly url: string;
  /** The process whose CPU is counted. */
  readonly pid: number;
  readonly seconds: number;
  /** The number of users from which each read takes one, drawn uniformly. */
  readonly users: number;
}

export async function readOneByOne(reads: SingleReads): Promise<LoadResult> {
  const [result] = await once(new Worker(import.meta.filename, { workerData: reads }), 'message');
  return result;
}

if (!isMainThread) {
  const { users, ...reading } = workerData as SingleReads;
  const pick = createUserPicker(users, 0);
  const { host } = new URL(reading.url);
  const next = () => `GET /v1/predictions/bench/${FIRST_USER + pick()} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  parentPort?.postMessage(await load({ ...reading, connections: 1, next }));
}
