/**
 * An application that reads predictions in its own process (docs/embedded.md), and measures itself. It prints its port, and
 * answers these requests with an `EmbeddedResult`:
 *
 * - `GET /reads?seconds=5` reads, with 64 reads in progress.
 * - `GET /live?seconds=5` infers one user after the other.
 * - `GET /given?seconds=5` infers one user after the other, with request features.
 * - `GET /infer?seconds=5` runs the model on given features, without a certificate.
 * - `GET /bare?seconds=5` sends rows to a child that only runs the model (embedded-bare-child.ts).
 *
 * Usage: node embedded-program.ts <users> <exponent> <megabytes of predictions in memory> <model.onnx>
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createTandem } from '@tandem/embedded';
import { createUserPicker } from './pick-users.ts';
import { FEATURES, FIRST_USER, GIVEN } from './predictors.ts';

export interface EmbeddedResult {
  readonly perSecond: number;
  /** The CPU of this process, in µs per operation. */
  readonly cpuMicros: number;
  readonly p50Ms: number;
}

const [users = 1, exponent = 0, megabytes = 0] = process.argv.slice(2, 5).map(Number);
const modelPath = process.argv[5] ?? '';
const READS_UNDER_WAY = 64;

const tandem = await createTandem({
  database: process.env.DATABASE_URL ?? '',
  redis: process.env.REDIS_URL ?? '',
  predictionMemory: { megabytes },
});
const pick = createUserPicker(users, exponent);
const anyUser = () => String(FIRST_USER + pick());

const valuesOf = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, Math.random()]));

let child: ChildProcess | undefined;

/** Sends a row of features to the child, and waits for the score. */
async function runBare(): Promise<void> {
  child ??= fork(join(import.meta.dirname, 'embedded-bare-child.ts'), [modelPath], { serialization: 'advanced' });
  const answered = once(child, 'message');
  child.send(Float32Array.from(FEATURES, () => Math.random()));
  await answered;
}

async function measure(seconds: number, lanes: number, one: () => Promise<unknown>): Promise<EmbeddedResult> {
  const times: number[] = [];
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1_000;
  const before = process.cpuUsage();
  async function lane(): Promise<void> {
    for (let at = performance.now(); at < endsAt; at = performance.now()) {
      await one();
      times.push(performance.now() - at);
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane));
  const { user, system } = process.cpuUsage(before);
  const elapsed = (performance.now() - startedAt) / 1_000;
  const sorted = Float64Array.from(times).sort();
  return {
    perSecond: times.length / elapsed,
    cpuMicros: (user + system) / times.length,
    p50Ms: sorted[sorted.length >> 1] ?? Number.NaN,
  };
}

/** The operation of each path, and how many of them run at once. */
const measurements: Readonly<Record<string, readonly [lanes: number, one: () => Promise<unknown>]>> = {
  '/reads': [READS_UNDER_WAY, () => tandem.read('bench', anyUser())],
  '/live': [1, () => tandem.read('bench', anyUser(), { noCache: true })],
  '/given': [1, () => tandem.read('given', anyUser(), { features: valuesOf(GIVEN) })],
  '/infer': [1, () => tandem.infer('bench', [{ features: valuesOf(FEATURES) }])],
  '/bare': [1, runBare],
};

const server = createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost');
  const [lanes, one] = measurements[pathname] ?? [];
  if (lanes === undefined || one === undefined) return response.writeHead(404).end();
  return measure(Number(searchParams.get('seconds')), lanes, one).then(
    (result) => response.end(JSON.stringify(result)),
    (error: unknown) => response.writeHead(500).end(String(error)),
  );
});
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));

process.once('SIGTERM', async () => {
  child?.kill();
  server.close();
  server.closeAllConnections();
  await tandem.close();
});
