/**
 * Inference in child processes: the Scorer that the API and the worker share. Made of the children (slot.ts), the loading of
 * models (model-loader.ts), dynamic batching (batcher.ts) and its breaker (artifact-breaker.ts).
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
import type { LoadOutcome } from '@tandem/prediction/rollouts/loaded-versions';
import type { LoadShedding, ScoreRequest, Scorer } from '@tandem/prediction/scoring/scoring';
import { within } from '@tandem/timing/within';
import { type ProcessEnd, type ProcessOptions, START_LIMIT } from '../process/inference-process.ts';
import { cpuLimit, type TimeLimit } from '../process/time-limit.ts';
import { createArtifactBreaker } from './artifact-breaker.ts';
import { Batcher } from './batcher.ts';
import { type Infer, inferInRuns } from './infer-request.ts';
import type { LoadArtifact } from './kept-files.ts';
import { createModelLoader, type InferenceLog, type LoadOccasion } from './model-loader.ts';
import { ModelLoads } from './model-loads.ts';
import { createSliceRows } from './slice-rows.ts';
import { type FinishedRun, Slot } from './slot.ts';

export interface InferencePoolOptions extends Pick<ProcessOptions, 'niceSteps' | 'threads'> {
  /** Checked again in the child. */
  readonly loadArtifact: LoadArtifact;
  readonly log: InferenceLog;
  /** A run was answered, and what it took. */
  onRun?(run: FinishedRun): void;
  /** Called after a child loaded a model, with the number of models unloaded for it; for counters. */
  onLoad?(when: LoadOccasion, unloaded: number): void;
  /** A child ended and is replaced; for a counter. */
  onRestart?(why: ProcessEnd): void;
  /** Called when a model that keeps ending its process is paused (artifact-breaker.ts); for a counter. */
  onRest?(predictor: string): void;
  /** Milliseconds that a model may take from others by ending its process before it is paused. */
  readonly maxLostMs?: number;
  /** Children; default: one less than the processors, for the process that feeds them. */
  readonly processes?: number;
  /** Children that `load` starts; default: all. Other children start on demand, and load wanted models while idle. */
  readonly preloadedProcesses?: number;
  /** Resident memory of a child in MB, above which it is killed. `modelsBytes` of it are for loaded models. */
  readonly memoryLimitMb?: number;
  /** How long after the last deadline of a run its child is killed. */
  readonly killGraceMs?: number;
  /** Users that may wait for a live answer, and rows of batches; more are refused as `overloaded`. */
  readonly maxQueue?: number;
  readonly maxBatchQueue?: number;
  /** Rows of a live run at most, and of a run of a batch (slice-rows.ts, default 1,024). */
  readonly maxLiveRows?: number;
  readonly sliceRows?: number;
  readonly startLimit?: TimeLimit;
  readonly loadLimit?: TimeLimit;
  /** Milliseconds that only ever rise; for tests. */
  readonly now?: () => number;
}

interface PoolStats {
  readonly processes: number;
  readonly idle: number;
  readonly waitingRows: Readonly<Record<'live' | 'batch', number>>;
  /** Models that are paused. */
  readonly restingModels: number;
  /** Models that the children have loaded, each counted once a child, and the memory that they take. */
  readonly models: { readonly held: number; readonly bytes: number };
  /** Process ids of the children alive. */
  readonly pids: readonly number[];
}

export interface InferencePool extends Scorer, LoadShedding {
  /** Runs tensors that a caller filled, in the queue of live requests; returns the wanted outputs. Rejects as `score` does. */
  readonly infer: Infer;
  /**
   * Loads these versions into each child, the first before the others, as far as there is room, and unloads those of
   * earlier calls. Each that is new is tried by runs on made-up users. No request waits long for it (model-loads.ts).
   * To ask again costs little where nothing has changed, and retries what failed after its pause: 1 s, up to a minute.
   */
  load(versions: readonly ModelVersion[]): Promise<readonly LoadOutcome[]>;
  /**
   * Loads the version in every child at work, before what else waits, and in each that replaces one, where it has room.
   * Rejects with `unavailable`.
   */
  warmUp(version: ModelVersion): Promise<void>;
  stats(): PoolStats;
  /** Refuses new requests, waits for those under way up to the grace, then ends the children. */
  close(graceMs?: number): Promise<void>;
}

/**
 * More CPU than a trial gets: models loaded here have passed a trial. A hanging child is replaced after two minutes.
 */
const LOAD_LIMIT = cpuLimit(30_000, 120_000);

/** Starts nothing: a child starts for a run, or for `warmUp`. */
export function createInferencePool(options: InferencePoolOptions): InferencePool {
  const { loadArtifact, onLoad, log, loadLimit = LOAD_LIMIT, now = () => performance.now() } = options;
  const process = childOptions(options);
  const { memoryLimitMb } = process;
  const loader = createModelLoader({ loadArtifact, loadLimit, memoryLimitMb, onLoad, log, now });
  /** Asked for by `warmUp`. */
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

/** Returns an idle child that has the model, else any idle child; else starts another, and no child is free yet. */
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

/**
 * Isolates model versions: a version that a rollout tries has its own children, queue, breaker and learned cost. A
 * candidate that hangs, crashes or is slow takes no child from the stable versions, nor from other candidates up to
 * `MOST_APART`. Further candidates share those pools, which bounds memory. They share processors.
 */
export interface IsolatedPools extends InferencePool {
  /** @param tried ids of the versions that a rollout tries; each has children of its own while it is among them */
  load(versions: readonly ModelVersion[], tried?: ReadonlySet<string>): Promise<readonly LoadOutcome[]>;
}

/** A tried version has one child until its load needs more. */
const TRIED: Partial<InferencePoolOptions> = Object.freeze({ preloadedProcesses: 1 });
/** Pools of tried versions. */
export const MOST_APART = 4;

/** A pool of tried versions. */
interface ApartPool {
  readonly pool: InferencePool;
  readonly ids: Set<string>;
}

/** @param open creates a pool that starts nothing yet; called for the stable versions and for each tried one */
export function createIsolatedPools(open: (options: Partial<InferencePoolOptions>) => InferencePool): IsolatedPools {
  const main = open({});
  const apart = new Set<ApartPool>();
  /** Pools by the id of their version. */
  const homes = new Map<string, ApartPool>();
  /** Children that are no longer needed, until they are closed. */
  const leaving = new Set<Promise<void>>();
  let isClosed = false;

  const poolOf = ({ id }: ModelVersion) => homes.get(id)?.pool ?? main;

  function leave(home: ApartPool): void {
    apart.delete(home);
    const closing = home.pool.close().finally(() => leaving.delete(closing));
    leaving.add(closing);
  }

  function findHome(): ApartPool {
    const least = [...apart].sort((one, other) => one.ids.size - other.ids.size)[0];
    if (least && apart.size >= MOST_APART) return least;
    const home = { pool: open(TRIED), ids: new Set<string>() };
    apart.add(home);
    return home;
  }

  /** Opens and closes pools, so that these versions have children apart from the others. */
  function separate(tried: readonly ModelVersion[]): void {
    for (const [id, home] of homes) {
      if (tried.some((version) => version.id === id)) continue;
      homes.delete(id);
      home.ids.delete(id);
      if (home.ids.size === 0) leave(home);
    }
    for (const { id } of tried) {
      if (homes.has(id)) continue;
      const home = findHome();
      homes.set(id, home);
      home.ids.add(id);
    }
  }

  return {
    score: (request: ScoreRequest) => poolOf(request.version).score(request),
    infer: (request) => poolOf(request.version).infer(request),
    room: (version, timeoutMs) => poolOf(version).room(version, timeoutMs),
    async load(versions, tried = new Set()) {
      if (!isClosed) separate(versions.filter(({ id }) => tried.has(id)));
      const [loaded, ...ofTried] = await Promise.all([
        main.load(versions),
        ...[...apart].map(({ pool, ids }) => pool.load(versions.filter(({ id }) => ids.has(id)))),
      ]);
      // A load that failed in a version's own pool counts, even if the main pool has the version.
      const failed = new Map(ofTried.flat().flatMap((one) => (one.error === null ? [] : [[one.modelVersionId, one]])));
      return loaded.map((one) => (one.error === null && failed.get(one.modelVersionId)) || one);
    },
    warmUp: (version) => main.warmUp(version),
    stats: () => [...apart].reduce((sum, { pool }) => added(sum, pool.stats()), main.stats()),
    async close(graceMs) {
      isClosed = true;
      await Promise.all([main, ...[...apart].map(({ pool }) => pool)].map((pool) => pool.close(graceMs)));
      await Promise.all(leaving);
    },
  };
}

/** The main pool decides whether a child is free: paused versions on trial do not affect the others. */
function added(sum: PoolStats, { waitingRows, restingModels, models, pids }: PoolStats): PoolStats {
  return {
    ...sum,
    waitingRows: {
      live: sum.waitingRows.live + waitingRows.live,
      batch: sum.waitingRows.batch + waitingRows.batch,
    },
    restingModels: sum.restingModels + restingModels,
    models: { held: sum.models.held + models.held, bytes: sum.models.bytes + models.bytes },
    pids: [...sum.pids, ...pids],
  };
}
