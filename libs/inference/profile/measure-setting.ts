/**
 * Measures one setting of live inference: a pool of its own with that many children, batch limit and threads, under full
 * load of single users, as live reads come. It is the pool that the API uses, with its batcher, so that what feeding the
 * children costs is part of the figures. Reading features and HTTP are not.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { FeatureBatch } from '@tandem/freshness/features';
import type { ModelVersion } from '@tandem/freshness/predictor';
import type { Measurement, Setting } from '@tandem/prediction/profile/settings';
import { createInferencePool, type InferencePool } from '../live/pool.ts';
import { readCpuMs, readResidentMb } from '../process/process-usage.ts';

export interface ProfiledVersion {
  readonly version: ModelVersion;
  /** Of the model file. */
  readonly bytes: Uint8Array;
  /** Users whose features were read; each can be scored. */
  readonly batch: FeatureBatch;
}

interface MeasureOptions {
  readonly memoryLimitMb: number;
  /** Milliseconds of load that count. Longer where a child would do fewer than `LEAST_RUNS` runs, up to five times as long. */
  readonly loadMs: number;
  readonly signal: AbortSignal;
}

/** Of each child, so that the longest latencies are more than one run's chance. */
const LEAST_RUNS = 20;
const MOST_TIMES_LOAD = 5;
/** Of load before it counts: the batcher learns what runs cost, and children grow to their size. */
const WARM_UP_MS = 300;
/** Who are asked for before others; one answer is enough. */
const FIRST_USERS = 10;
/** No request is refused for want of time. */
const PATIENCE_MS = 60_000;

/** Rejects where no child can load the model, where the model answers no user, or with the signal's reason. */
export async function measureSetting(
  setting: Setting,
  { version, bytes, batch }: ProfiledVersion,
  options: MeasureOptions,
): Promise<Measurement> {
  const { processes, threads } = setting;
  const load = { users: batch.userIds.length, waiting: 2 * setting.batch * processes };
  const pool = createInferencePool({
    loadArtifact: async () => bytes,
    ...{ processes, threads, memoryLimitMb: options.memoryLimitMb, log: () => {} },
    maxLiveRows: setting.batch,
    maxQueue: load.waiting + 1,
  });
  const score = (row: number) => pool.score({ version, batch, rows: [row], timeoutMs: PATIENCE_MS, priority: 'live' });
  try {
    await pool.warmUp(version);
    await assertAnswers(score, load.users);
    const clients = startClients(load, score);
    try {
      return await measureLoad(setting, pool, clients, options);
    } finally {
      clients.stop();
    }
  } finally {
    await pool.close(0);
  }
}

async function measureLoad(
  setting: Setting,
  pool: InferencePool,
  clients: Clients,
  { loadMs, signal }: MeasureOptions,
): Promise<Measurement> {
  await pause(WARM_UP_MS, signal);
  const latencies = clients.record();
  const usage = await watchUsage(pool);
  const startedAt = performance.now();
  const isEnough = () => latencies.length >= LEAST_RUNS * setting.batch * setting.processes;
  for (let i = 0; i < MOST_TIMES_LOAD && (i === 0 || !isEnough()); i++) await pause(loadMs, signal);
  const seconds = (performance.now() - startedAt) / 1_000;
  const answered = latencies.length;
  const { cpuMs, memoryMb } = await usage();
  const sorted = Float64Array.from(latencies).sort();
  return {
    ...{ setting, memoryMb, failed: clients.failed() },
    throughput: answered / seconds,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
    cpuMsPerThousand: (cpuMs / answered) * 1_000,
  };
}

/** Rejects with why the model answers none of the first users. */
async function assertAnswers(score: (row: number) => Promise<unknown>, users: number): Promise<void> {
  let why: unknown;
  for (let row = 0; row < Math.min(users, FIRST_USERS); row++) {
    try {
      await score(row);
      return;
    } catch (error) {
      why = error;
    }
  }
  throw why;
}

interface Clients {
  /** From now on keeps latencies, in ms, in the array that it returns. */
  record(): readonly number[];
  failed(): number;
  stop(): void;
}

/** So many clients, each of whom asks for one user and waits for the answer. */
function startClients(
  { users, waiting }: { readonly users: number; readonly waiting: number },
  score: (row: number) => Promise<unknown>,
): Clients {
  let latencies: number[] | null = null;
  let failed = 0;
  let isOver = false;
  let next = 0;
  async function ask(): Promise<void> {
    while (!isOver) {
      const startedAt = performance.now();
      const isAnswered = await score(next++ % users).then(
        () => true,
        () => false,
      );
      if (isOver) return;
      if (!isAnswered) {
        failed++;
        // What is refused before it is sent would leave the event loop no turn.
        await turn();
      } else latencies?.push(performance.now() - startedAt);
    }
  }
  for (let i = 0; i < waiting; i++) void ask();
  return {
    record() {
      latencies = [];
      return latencies;
    },
    failed: () => failed,
    stop() {
      isOver = true;
    },
  };
}

/** CPU from now on, and memory at the end, of the children; CPU of this process too. */
async function watchUsage(pool: InferencePool): Promise<() => Promise<{ cpuMs: number; memoryMb: number }>> {
  const childrenCpu = async () => sum(await Promise.all(pool.stats().pids.map(readCpuMs)));
  const own = process.cpuUsage();
  const before = await childrenCpu();
  return async () => {
    const { user, system } = process.cpuUsage(own);
    const cpuMs = (await childrenCpu()) - before + (user + system) / 1_000;
    return { cpuMs, memoryMb: sum(await Promise.all(pool.stats().pids.map(readResidentMb))) };
  };
}

function sum(values: readonly (number | null)[]): number {
  return values.reduce<number>((total, value) => total + (value ?? 0), 0);
}

function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
