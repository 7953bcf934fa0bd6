/** Fixture of the worker's tests: a predictor over a table of customers, and workers as separate processes. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { FreshnessPolicy, Policy, RequestColumn } from '@tandem/freshness/predictor';
import { adopt, type PredictorToAdopt } from '@tandem/offline-store/adopt';
import type { createPool } from '@tandem/offline-store/sql/database';
import { COMPILE_CACHE } from '@tandem/testing/compile-cache';
import { linearModel } from '@tandem/testing/onnx-models';
import { makeFolder, ownRedis } from '../../test/e2e/servers.fixture.ts';
import type { WorkerEnvironment } from './dependencies.ts';

declare module 'vitest' {
  interface ProvidedContext {
    databaseUrl: string;
    templateDatabase: string;
    redisUrl: string;
  }
}

type Pool = ReturnType<typeof createPool>;

export interface Customers {
  readonly users: number;
  readonly chunkSize: number;
  readonly schedule?: string;
  readonly model?: Buffer;
  /** The model's columns. */
  readonly columns?: readonly string[];
  readonly request?: readonly RequestColumn[];
  readonly name?: string;
  /** A condition in the feature query. */
  readonly where?: string;
  readonly policy?: Partial<Policy> & { readonly planTimeoutMs?: number };
}

export const CUSTOMERS = 'customers';
const WEIGHTS = [0.5, -0.25];

/** Creates customers 1 to n and adopts a predictor for them. A feature of customer 13 is NaN. */
export async function adoptCustomers(pool: Pool, customers: Customers): Promise<void> {
  await pool.query(`
    create table if not exists customers (id bigint primary key, recency float8 not null, orders int not null);
    insert into customers
      select n, case when n = 13 then 'NaN' else (n % 100) / 10.0 end, n % 7 from generate_series(1, ${customers.users}) n
      on conflict do nothing;
    analyze customers`);
  await adopt(pool, { actor: 'test', predictors: [predictorOf(customers)] });
}

export function predictorOf(customers: Customers): PredictorToAdopt {
  const { chunkSize, schedule = null, model = linearModel({ weights: WEIGHTS }) } = customers;
  const { columns = ['recency', 'orders'], name = CUSTOMERS, where = 'true' } = customers;
  const { planTimeoutMs, ...policy } = customers.policy ?? {};
  const batch = { schedule, chunkSize, minCoverage: 0.5, ...(planTimeoutMs === undefined ? {} : { planTimeoutMs }) };
  return {
    name,
    artifact: model,
    policy: { freshness: FRESHNESS, batch, ...policy },
    definition: {
      predictor: name,
      artifactHash: createHash('sha256').update(model).digest('hex'),
      keyType: 'int8',
      query: {
        sql: `select id as user_id, recency, orders from customers where ${where}`,
        columns: [
          { name: 'recency', kind: 'number' },
          { name: 'orders', kind: 'integer' },
        ],
        asOf: null,
        overlayForMs: 3_600_000,
      },
      ...(customers.request === undefined ? {} : { request: customers.request }),
      inputs: [{ name: 'features', type: 'float32', columns }],
      outputs: [{ name: 'score', output: 'score', type: 'float32', width: null, index: 0 }],
    },
  };
}

const FRESHNESS: FreshnessPolicy = {
  maxAgeMs: null,
  live: true,
  liveTimeoutMs: 100,
  onLiveFailure: 'stale',
  unverified: true,
  default: null,
  events: ['*'],
};

export type LogLine = Readonly<Record<string, unknown>> & { readonly event: string };

export interface WorkerProcess {
  readonly pid: number;
  readonly lines: readonly LogLine[];
  /** Resolves with the first matching line of that event, now or later; rejects if the process ends before. */
  until(event: string, fits?: (line: LogLine) => boolean): Promise<LogLine>;
  kill(signal: NodeJS.Signals): void;
  /** Resolves with the exit code, or the signal that ended the process. */
  readonly ended: Promise<number | NodeJS.Signals | null>;
}

/** Starts the worker program. It is ready after it logs `worker.started`. */
export function startWorkerProcess(environment: Readonly<Record<string, string>>): WorkerProcess {
  const main = join(import.meta.dirname, 'main.ts');
  const child = spawn(process.execPath, [main], {
    env: { PATH: process.env.PATH, ...COMPILE_CACHE, INFERENCE_PROCESSES: '1', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: LogLine[] = [];
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const one of waiting) one();
  };
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(JSON.parse(line) as LogLine);
    wake();
  });
  let hasEnded = false;
  const { promise: ended, resolve } = Promise.withResolvers<number | NodeJS.Signals | null>();
  child.on('close', (code, signal) => {
    hasEnded = true;
    resolve(code ?? signal);
    wake();
  });
  return {
    pid: child.pid ?? 0,
    lines,
    ended,
    kill: (signal) => void child.kill(signal),
    until(event, fits = () => true) {
      return new Promise((found, reject) => {
        const look = () => {
          const line = lines.find((one) => one.event === event && fits(one));
          if (!line && !hasEnded) return;
          waiting.delete(look);
          if (line) found(line);
          else
            reject(new Error(`the worker ended before ${event}; its last lines: ${JSON.stringify(lines.slice(-3))}`));
        };
        waiting.add(look);
        look();
      });
    },
  };
}

export interface WorkerRedis {
  readonly url: string;
  /** Stops the server and deletes its data. */
  close(): Promise<void>;
}

/**
 * Starts a separate Redis for one test file. Housekeeping sweeps generations that its database does not list, which in
 * the shared Redis are those of other test files.
 */
export async function startWorkerRedis(): Promise<WorkerRedis> {
  const folder = await makeFolder();
  const redis = await ownRedis(folder);
  return {
    url: redis.url,
    async close() {
      await redis.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Returns the environment of a worker inside a test. */
export function environmentOf(databaseUrl: string, redisUrl: string): WorkerEnvironment {
  return {
    database: { url: databaseUrl, featuresUrl: databaseUrl },
    redis: { url: redisUrl, queueUrl: redisUrl },
    inference: { processes: 1, memoryMb: 512, queueLimit: 256, batchLimit: 256, threads: 1 },
    worker: { chunkConcurrency: 2 },
    workerProcess: { host: '127.0.0.1', port: null, leaseMs: 30_000, rollbackCacheMb: 512, refreshShare: 0.25 },
  };
}
