/**
 * Runs inference in child processes: the Scorer of the API and the worker. It combines the children (slot.ts), the
 * loading of models (model-loader.ts), dynamic batching (batcher.ts) and the breaker (artifact-breaker.ts).
 */
import { availableParallelism } from 'node:os';
import { TandemError } from '@tandem/freshness/errors';
import type { ModelVersion } from '@tandem/freshness/predictor';
import {
  INFERENCE_MEMORY_MB,
  LEAST_INFERENCE_MEMORY_MB,
  LIVE_QUEUE_USERS,
  LIVE_RUN_USERS,
} from '@tandem/prediction/models/model-limits';
import type { LoadOutcome } from '@tandem/prediction/processes/loaded-versions';
import type { LoadShedding, Scorer } from '@tandem/prediction/scoring/scoring';
import { within } from '@tandem/timing/within';
import { type ProcessEnd, type ProcessOptions, START_LIMIT } from '../process/inference-process.ts';
import { cpuLimit, type TimeLimit } from '../process/time-limit.ts';
import { createArtifactBreaker } from './artifact-breaker.ts';
import { Batcher } from './batcher.ts';
import { type Infer, inferInRuns } from './infer-request.ts';
import type { LoadArtifact } from './kept-files.ts';
import { type InferenceLog, type LoadOccasion, ModelLoader } from './model-loader.ts';
import { ModelLoads } from './model-loads.ts';
import { createSliceRows } from './slice-rows.ts';
import { type FinishedRun, Slot } from './slot.ts';

export interface InferencePoolOptions extends Pick<ProcessOptions, 'niceSteps' | 'threads'> {
  /** Returns the bytes of an artifact. The child checks their hash. */
  readonly loadArtifact: LoadArtifact;
  readonly log: InferenceLog;
  /** Called after a run was answered, with its cost. */
  onRun?(run: FinishedRun): void;
  /** Called after a child loaded a model, with the number of models that were unloaded for it; for counters. */
  onLoad?(when: LoadOccasion, unloaded: number): void;
  /** Called when a child has ended and is replaced; for a counter. */
  onRestart?(why: ProcessEnd): void;
  /** Called when a model that keeps ending its process is paused (artifact-breaker.ts); for a counter. */
  onRest?(predictor: string): void;
  /** Milliseconds that other models may lose, because a model ends its process, before it is paused. */
  readonly maxLostMs?: number;
  /** The number of children. Default: the processors minus one, for the process that feeds them. */
  readonly processes?: number;
  /** The number of children that `load` starts. Default: all. Others start on demand, and load models while idle. */
  readonly preloadedProcesses?: number;
  /** Limit of a child's resident memory in MB, above which it is killed. `modelsBytes` of it are for loaded models. */
  readonly memoryLimitMb?: number;
  /** How long after the last deadline of a run its child is killed. */
  readonly killGraceMs?: number;
  /** The most users that may wait for a live answer, and rows of batches. More are rejected as `overloaded`. */
  readonly maxQueue?: number;
  readonly maxBatchQueue?: number;
  /** The most rows of a live run, and of a run of a batch (slice-rows.ts, default 1,024). */
  readonly maxLiveRows?: number;
  readonly sliceRows?: number;
  readonly startLimit?: TimeLimit;
  readonly loadLimit?: TimeLimit;
  /** Returns the milliseconds of a monotonic clock; for tests. */
  readonly now?: () => number;
}

export interface PoolStats {
  readonly processes: number;
  readonly idle: number;
  readonly waitingRows: Readonly<Record<'live' | 'batch', number>>;
  /** The number of paused models. */
  readonly restingModels: number;
  /** The number of models that the children have loaded, counted once for each child, and their memory. */
  readonly models: { readonly held: number; readonly bytes: number };
  /** Process ids of the living children. */
  readonly pids: readonly number[];
}

export interface InferencePool extends Scorer, LoadShedding {
  /** Runs tensors that a caller filled, as a live request. Returns the wanted outputs. Rejects as `score` does. */
  readonly infer: Infer;
  /**
   * Loads these versions into each child, in order as far as there is room, and unloads those of earlier calls. A new
   * version is tried by runs on made-up users. No request waits long for a load (model-loads.ts). A repeated call
   * costs little if nothing has changed, and retries failed versions after a pause of 1 s, up to a minute.
   */
  load(versions: readonly ModelVersion[]): Promise<readonly LoadOutcome[]>;
  /**
   * Loads the version in every running child before other waiting work, and in each child that replaces one, if there
   * is room. Rejects with `unavailable`.
   */
  warmUp(version: ModelVersion): Promise<void>;
  stats(): PoolStats;
  /** Rejects new requests, waits up to the grace period for those in progress, then ends the children. */
  close(graceMs?: number): Promise<void>;
}

/**
 * Limit of a load. It allows more CPU time than a trial, which these models have passed. A hanging child is replaced
 * after two minutes.
 */
const LOAD_LIMIT = cpuLimit(30_000, 120_000);

/** Creates a pool. A child starts only for a run, or for `warmUp`. */
export function createInferencePool(options: InferencePoolOptions): InferencePool {
  const { loadArtifact, onLoad, log, loadLimit = LOAD_LIMIT, now = () => performance.now() } = options;
  const process = childOptions(options);
  const { memoryLimitMb } = process;
  const loader = new ModelLoader({ loadArtifact, loadLimit, memoryLimitMb, onLoad, log, now });
  /** The versions that `warmUp` requested. */
  const warm = new Set<string>();
  let closing: Promise<void> | null = null;

  const newSlot = () =>
    new Slot({
      ...process,
      loader,
      wanted: () => [...models.proven(), ...warm],
      onIdle: () => batcher.pumpSoon(),
      onRun: (run) => options.onRun?.(run),
      onRestart: (why) => options.onRestart?.(why),
      log,
    });
  const slots = Array.from({ length: options.processes ?? Math.max(1, availableParallelism() - 1) }, newSlot);
  const onWarmedUp: Batcher['warmedUp'] = (...runs) => batcher.warmedUp(...runs);
  const models = new ModelLoads({ slots: slots.slice(0, options.preloadedProcesses), loader, process, onWarmedUp });
  const breaker = createArtifactBreaker({
    now,
    log,
    onRest: (predictor) => options.onRest?.(predictor),
    ...(options.maxLostMs === undefined ? {} : { maxLostMs: options.maxLostMs }),
  });
  const batcher = new Batcher({
    freeSlot: (hash) => findSlot(slots, hash),
    slots: slots.length,
    ...{ maxLiveRows: options.maxLiveRows ?? LIVE_RUN_USERS, slices: createSliceRows(options.sliceRows) },
    maxWaitingRows: { live: options.maxQueue ?? LIVE_QUEUE_USERS, batch: options.maxBatchQueue ?? 100_000 },
    killGraceMs: options.killGraceMs ?? 1_000,
    ...{ breaker, now },
  });

  async function shutDown(graceMs: number): Promise<void> {
    await within(graceMs, batcher.drained(), closed).catch(() => undefined);
    batcher.abandon(closed());
    await Promise.all([models.close(), ...slots.map((slot) => slot.close())]);
  }

  return {
    score: (request) => (closing ? Promise.reject(closed()) : batcher.score(request)),
    infer: (request) => (closing ? Promise.reject(closed()) : inferInRuns(request, batcher, now)),
    room: (version, timeoutMs) => batcher.room(version, timeoutMs),
    load(versions) {
      const listed = new Set(versions.map(({ artifactHash }) => artifactHash));
      for (const hash of warm) if (!listed.has(hash)) warm.delete(hash);
      return closing ? Promise.reject(closed()) : models.load(versions);
    },
    async warmUp({ artifactHash }) {
      if (closing) throw closed();
      warm.add(artifactHash);
      await Promise.all(slots.map((slot) => slot.prepare(artifactHash)));
    },
    stats: () => ({ ...statsOf(slots), waitingRows: batcher.waitingRows(), restingModels: breaker.paused() }),
    close: (graceMs = 5_000) => {
      closing ??= shutDown(graceMs);
      return closing;
    },
  };
}

function statsOf(slots: readonly Slot[]): Omit<PoolStats, 'waitingRows' | 'restingModels'> {
  return {
    processes: slots.length,
    idle: slots.filter((slot) => slot.state() === 'idle').length,
    models: {
      held: slots.reduce((sum, slot) => sum + slot.loaded().length, 0),
      bytes: slots.reduce((sum, slot) => sum + slot.loadedBytes(), 0),
    },
    pids: slots.map((slot) => slot.pid()).filter((pid) => pid !== undefined),
  };
}

/** Returns an idle child with the model, else any idle child. Otherwise starts another child, and returns none. */
function findSlot(slots: readonly Slot[], hash: string): Slot | null {
  const idle = slots.filter((slot) => slot.state() === 'idle');
  const slot = idle.find((slot) => slot.hasLoaded(hash)) ?? idle[0];
  if (slot) return slot;
  if (!slots.some((slot) => slot.state() === 'starting')) slots.find((slot) => slot.state() === 'cold')?.start();
  return null;
}

function childOptions(options: InferencePoolOptions) {
  const { memoryLimitMb = INFERENCE_MEMORY_MB, startLimit = START_LIMIT, niceSteps, threads } = options;
  if (memoryLimitMb >= LEAST_INFERENCE_MEMORY_MB) return { memoryLimitMb, startLimit, niceSteps, threads };
  const text = `An inference process needs at least ${LEAST_INFERENCE_MEMORY_MB} MB of memory, not ${memoryLimitMb}.`;
  throw new TandemError('config_invalid', text, { field: 'INFERENCE_MEMORY_MB', remedy: 'raise it, or unset it' });
}

function closed(): TandemError {
  return new TandemError('unavailable', 'the service is shutting down', { retryAfter: 5 });
}
