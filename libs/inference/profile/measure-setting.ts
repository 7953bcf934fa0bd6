/**
 * Measures one setting of live inference: a separate pool with this number of children, batch limit and threads, under
 * full load of single users, like live reads. It is the pool of the API with its batcher, so the cost of feeding the
 * children is included. Reading features and HTTP are not.
 */
import { setTimeout, setImmediate as turn } from 'node:timers/promises';
import type { FeatureBatch } from '@tandem/freshness/features';
import type { ModelVersion } from '@tandem/freshness/predictor';
import type { Measurement, Setting } from '@tandem/prediction/profile/settings';
import { createInferencePool, type InferencePool } from '../live/pool.ts';
import { readCpuMs, readResidentMb } from '../process/process-usage.ts';

export interface ProfiledVersion {
  readonly version: ModelVersion;
  /** Bytes of the model file. */
  readonly bytes: Uint8Array;
  /** Users whose features were read; each can be scored. */
  readonly batch: FeatureBatch;
}

interface MeasureOptions {
  readonly memoryLimitMb: number;
  /**
   * Milliseconds of measured load. It is longer, up to five times, if a child would do fewer than `LEAST_RUNS` runs.
   */
  readonly loadMs: number;
  /** The end of all load, on the clock of `performance.now`. */
  readonly deadline: number;
  readonly signal: AbortSignal;
}

/** The least number of runs of each child, so that the 99th percentile does not depend on one run. */
const LEAST_RUNS = 20;
const MOST_TIMES_LOAD = 5;
/**
 * Milliseconds of load before the measurement, in which the batcher learns the cost of runs and children grow to their
 * final size.
 */
const WARM_UP_MS = 300;
/** The number of users that are tried before the load. One answer is enough. */
const FIRST_USERS = 10;
/** The timeout of each request, long enough that none is rejected. */
const PATIENCE_MS = 60_000;

/** Measures a setting. Rejects if no child can load the model, if it gives no answer in time, or with the signal's reason. */
export async function measureSetting(
  setting: Setting,
  { version, bytes, batch }: ProfiledVersion,
  options: MeasureOptions,
): Promise<Measurement> {
  const { processes, threads } = setting;
  const load = { users: batch.userIds.length, waiting: 2 * setting.batch * processes };
  let lost = 0;
  const pool = createInferencePool({
    loadArtifact: async () => bytes,
    ...{ processes, threads, memoryLimitMb: options.memoryLimitMb, log: () => {} },
    maxLiveRows: setting.batch,
    maxQueue: load.waiting + 1,
    onRestart: () => {
      lost++;
    },
  });
  const score = (row: number) => pool.score({ version, batch, rows: [row], timeoutMs: PATIENCE_MS, priority: 'live' });
  try {
    await pool.warmUp(version);
    await assertAnswers(score, load.users);
    const clients = startClients(load, score);
    try {
      const found = await measureLoad(setting, pool, clients, options);
      return { ...found, lost };
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
  { loadMs, deadline, signal }: MeasureOptions,
): Promise<Omit<Measurement, 'lost'>> {
  await pause(WARM_UP_MS, signal);
  const latencies = clients.record();
  const usage = await watchUsage(pool);
  const startedAt = performance.now();
  const isEnough = () => latencies.length >= LEAST_RUNS * setting.batch * setting.processes;
  for (let i = 0; i < MOST_TIMES_LOAD && !(isEnough() && i > 0); i++) {
    const leftMs = deadline - performance.now();
    await pause(Math.max(0, Math.min(loadMs, leftMs)), signal);
    if (leftMs <= loadMs) break;
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  const answered = latencies.length;
  if (answered === 0) throw new Error(`no run ended within ${seconds.toFixed(1)} s`);
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

/** Tries the first users. Rejects with the last error if the model answers none of them. */
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

type Clients = ReturnType<typeof startClients>;

/** Starts `waiting` clients. Each requests one user at a time and waits for the answer. */
function startClients(
  { users, waiting }: { readonly users: number; readonly waiting: number },
  score: (row: number) => Promise<unknown>,
) {
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
        // Immediate rejections would block the event loop.
        await turn();
      } else latencies?.push(performance.now() - startedAt);
    }
  }
  for (let i = 0; i < waiting; i++) void ask();
  return {
    /** Starts to record latencies in ms in the returned array, and to count failures. */
    record() {
      latencies = [];
      failed = 0;
      return latencies;
    },
    failed: () => failed,
    stop() {
      isOver = true;
    },
  };
}

/**
 * Starts measuring. The returned function gives the CPU time that the children and this process have used since this
 * call, and the children's current memory.
 */
async function watchUsage(pool: InferencePool): Promise<() => Promise<{ cpuMs: number; memoryMb: number }>> {
  const childrenCpu = () =>
    Promise.all(pool.stats().pids.map(async (pid) => [pid, (await readCpuMs(pid)) ?? 0] as const));
  const own = process.cpuUsage();
  const before = new Map(await childrenCpu());
  return async () => {
    const { user, system } = process.cpuUsage(own);
    // A child that replaced another one started at 0.
    const spent = (await childrenCpu()).map(([pid, ms]) => ms - (before.get(pid) ?? 0));
    const cpuMs = sum(spent) + (user + system) / 1_000;
    return { cpuMs, memoryMb: sum(await Promise.all(pool.stats().pids.map(readResidentMb))) };
  };
}

function sum(values: readonly (number | null)[]): number {
  return values.reduce<number>((total, value) => total + (value ?? 0), 0);
}

function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Rejects with the signal's reason. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}
