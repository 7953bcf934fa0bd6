/** Builds the worker's dependencies from the environment, and closes them in reverse order. */

import { availableParallelism } from 'node:os';
import type {
  DatabaseSection,
  InferenceSection,
  RedisSection,
  WorkerSection,
} from '@tandem/config/environment/environment-sections';
import { latestSlot } from '@tandem/config/predictor/schedule';
import type { Round, WorkerHost } from '@tandem/extension/extension';
import { loadParts } from '@tandem/extension/load-parts';
import { isTandemError } from '@tandem/freshness/errors';
import { keepFiles } from '@tandem/inference/live/kept-files';
import { createInferencePool, type InferencePool } from '@tandem/inference/live/pool';
import type { FinishedRun } from '@tandem/inference/live/slot';
import { createOutbox } from '@tandem/offline-store/events/outbox';
import { rewriteContexts } from '@tandem/offline-store/events/pending-patterns';
import { assertFeatureLogin } from '@tandem/offline-store/features/feature-login';
import { createFeatureSource } from '@tandem/offline-store/features/features';
import { listOnlineGenerations } from '@tandem/offline-store/generations/generation-rows';
import { createGenerationStore } from '@tandem/offline-store/generations/generations';
import { type BucketOptions, createBucket } from '@tandem/offline-store/models/artifact-bucket';
import { createArtifactStore } from '@tandem/offline-store/models/artifacts';
import { createRegistry, type StoredRegistry } from '@tandem/offline-store/models/registry';
import { removeUnused } from '@tandem/offline-store/models/unused-artifacts';
import { openRegister, readinessOf } from '@tandem/offline-store/processes/processes';
import { createExpiries } from '@tandem/offline-store/retention';
import { findBacklog } from '@tandem/offline-store/runs/backlog';
import { createRunStore } from '@tandem/offline-store/runs/run-store';
import { createScheduleStore } from '@tandem/offline-store/runs/schedules';
import { createExamineWatches } from '@tandem/offline-store/sources/repair-watches';
import { assertMigrated } from '@tandem/offline-store/sql/assert-migrated';
import { createHistoryMarks } from '@tandem/offline-store/sql/history-marks';
import { provePaths } from '@tandem/offline-store/sql/paths';
import { checkProtocol } from '@tandem/offline-store/sql/protocol';
import { findCount } from '@tandem/offline-store/sql/settings';
import { createTurns } from '@tandem/offline-store/sql/turns';
import { createErasureStore } from '@tandem/offline-store/users/erasures';
import { createErasures } from '@tandem/online-store/erasures';
import { OnlineGenerationLoader } from '@tandem/online-store/generation-loader';
import { OnlineGenerationSweeper } from '@tandem/online-store/generation-sweeper';
import { createMarkMemory } from '@tandem/online-store/mark-memory';
import { createOnlineConnection } from '@tandem/online-store/online-connection';
import { createHintStore, createOverlayStore } from '@tandem/online-store/overlay-store';
import { createOnlinePredictions } from '@tandem/online-store/predictions';
import { createRefreshWindows } from '@tandem/online-store/refresh-windows';
import { createCount } from '@tandem/online-store/told-counts';
import { createKeepErased } from '@tandem/prediction/erasure/keep-erased';
import { createLossNotice, type LossNotice } from '@tandem/prediction/events/notice-loss';
import type { OutboxPage } from '@tandem/prediction/events/relay-outbox';
import type { OnlineCount } from '@tandem/prediction/online-count';
import { keepLoaded } from '@tandem/prediction/processes/loaded-versions';
import { whyNotServed } from '@tandem/prediction/processes/processes';
import { createChunkCpu } from '@tandem/prediction/runs/chunk-cpu';
import { createChunkLoads, gatherLoads } from '@tandem/prediction/runs/load-chunk';
import type { RunHints } from '@tandem/prediction/runs/run-store';
import { createConfirming, createKeepWithdrawals } from '@tandem/prediction/runs/withdrawals';
import { createQueue } from '@tandem/queue/enqueue';
import { countWarnings } from '@tandem/telemetry/counted-log';
import { createLoadLog } from '@tandem/telemetry/load-log';
import { createLibraryLog, type Log } from '@tandem/telemetry/log';
import { createMetrics, type Metrics } from '@tandem/telemetry/metrics';
import { RELEASE } from '@tandem/telemetry/release';
import { countLoads, sampledMetrics } from '@tandem/telemetry/sampled-stats';
import { EXTENSIONS } from './extensions.ts';
import { createRunHints } from './hints.ts';
import { createObserveBacklog } from './observe-backlog.ts';
import { openPools, type WorkerPools } from './open-pools.ts';
import { createRefreshBudget, openRefresh } from './open-refresh.ts';
import { createCheckFit } from './processors/load-generation.ts';
import { createProtocolGate } from './protocol-gate.ts';
import { createRoundMetrics } from './round-metrics.ts';
import type { WorkerProcessSection } from './worker-section.ts';

export interface WorkerEnvironment {
  readonly database: DatabaseSection;
  /** The bucket of model files; default: Postgres. */
  readonly artifacts?: BucketOptions | null;
  readonly redis: RedisSection;
  readonly inference: InferenceSection;
  readonly worker: WorkerSection;
  readonly workerProcess: WorkerProcessSection;
}

export type BuiltDependencies = Awaited<ReturnType<typeof createDependencies>>;

/**
 * The time limit of bulk writes, in ms. A bulk write waits while the server is busy with earlier writes, so the 50 ms
 * of a read would be too short.
 */
const BULK_TIMEOUT_MS = 5_000;
const BULK_SILENCE_MS = 10_000;
/**
 * Builds the dependencies. Rejects with `config_invalid` if another release migrated the schema, or if the queue's
 * Redis may evict keys.
 */
export async function createDependencies(environment: WorkerEnvironment, ownLog: Log) {
  const metrics = createMetrics({ app: 'worker' });
  const log = countWarnings(ownLog, metrics);
  const pools = await openProvedPools(environment);
  const queue = await createQueue({ url: environment.redis.queueUrl, log });
  const protocol = createProtocolGate(() => checkProtocol(pools.pool), log);
  const online = createOnline(environment.redis.url, log, protocol.assertKnown);
  const offline = createOffline(pools, environment.artifacts ?? null, environment.workerProcess.rollbackCacheMb);
  const { scorer, budget, cpu } = createScorer(environment, offline.registry, { log, metrics });
  const kept = await keepModels(pools, offline.registry, scorer, log);
  const { runs, generations, expiring } = offline;
  const { loader, checkFit } = online;
  const hints = createRunHints(queue);
  const lease = leaseOf(environment.workerProcess);
  const loads = createChunkLoads({
    onFailed: ({ runId, no }, error) => log.warn('chunk.not_loaded', { runId, no, error }),
  });
  const losses = createLossNotice(offline.marks, online.markMemory);
  const refreshing = { ...offline, ...online, pool: pools.pool, scorer, budget, log, metrics };
  const refresh = openRefresh(environment.workerProcess.refreshShare, refreshing);
  const { confirming, ...loops } = housekeepingOf({ offline, online, hints, losses, onRelayed: refresh.onRelayed });
  const { whyNotServed } = offline;
  const more = await openRounds({ pool: pools.pool, runs, hints, confirming, whyNotServed, log });
  const names = more.map(({ name }) => name);
  const rounds = createRoundMetrics(metrics, names);
  const samples = [rounds.sample, refresh.sample];
  return {
    ...{ runs, generations, expiring, loader, hints, losses, checkFit, queue, log },
    ...{ steps: pools.steps, onRound: rounds.onRound, whyIdle: protocol.whyIdle },
    metrics: sampledMetrics(metrics, 'worker', { ...pools, scorer, isOnlineOpen: online.isOpen, samples }),
    observeBacklog: createObserveBacklog({ findBacklog: () => findBacklog(pools.pool), queue, metrics }),
    chunks: { ...offline, ...online, loader: gatherLoads(loader), scorer, hints, lease, loads, cpu },
    ...loops,
    confirming,
    more,
    close: () =>
      closeInOrder(loads.settled, refresh.close, kept.close, scorer.close, online.close, queue.close, pools.close),
  };
}

/** Opens the rounds of the worker's extensions. */
async function openRounds(host: WorkerHost): Promise<readonly Round[]> {
  const jobs = await loadParts(EXTENSIONS, 'jobs');
  return jobs.flatMap(({ rounds }) => rounds(host));
}

interface HousekeepingParts {
  readonly offline: ReturnType<typeof createOffline>;
  readonly online: ReturnType<typeof createOnline>;
  readonly hints: RunHints;
  readonly losses: LossNotice;
  onRelayed(page: OutboxPage): void;
}

/** Returns the dependencies of the worker's loops, and how extensions confirm what they withdraw. */
function housekeepingOf({ offline, online, hints, losses, onRelayed }: HousekeepingParts) {
  const erasures = createKeepErased({ store: offline.erasures, online: online.erasures });
  const counting = { countWithdrawals: offline.countWithdrawals, online: online.withdrawals };
  // A verdict has no caller to reject. If Redis does not receive it, a later round tells it.
  const raise: OnlineCount['raise'] = (count) => online.withdrawals.raise(count).catch(() => undefined);
  const confirming = createConfirming({ ...counting, online: { ...online.withdrawals, raise } });
  return {
    reconciling: { ...offline, ...online, hints, losses, erasures, keepWithdrawals: createKeepWithdrawals(counting) },
    relaying: { ...offline, ...online, onRelayed },
    retaining: { ...offline, ...online },
    confirming,
    scheduling: { runs: offline.runs, hints, latestSlot, schedules: offline.schedules },
    rewriting: offline,
    watching: offline,
  };
}

function leaseOf({ leaseMs }: WorkerProcessSection) {
  return { leaseMs, renewMs: Math.floor(leaseMs / 3) };
}

async function closeInOrder(...steps: readonly (() => unknown)[]): Promise<void> {
  for (const step of steps) await step();
}

/**
 * Opens the pools. Rejects invalid settings. An unavailable database is no error: it may be back when the first job
 * comes.
 */
async function openProvedPools(environment: WorkerEnvironment): Promise<WorkerPools> {
  const pools = openPools(environment);
  const { url, featuresUrl } = environment.database;
  await provePaths(environment.database, pools).catch(unlessAway);
  await assertMigrated(pools.pool);
  if (featuresUrl !== url) await assertFeatureLogin(pools.pool, pools.features).catch(unlessAway);
  return pools;
}

function unlessAway(error: unknown): void {
  if (!isTandemError(error, 'unavailable')) throw error;
}

function createOffline({ pool, features }: WorkerPools, bucket: BucketOptions | null, rollbackCacheMb: number) {
  const objects = bucket && createBucket(bucket);
  const artifacts = createArtifactStore(pool, objects);
  const turns = createTurns(pool);
  return {
    registry: createRegistry(pool, { artifacts }),
    runs: createRunStore(pool, { features }),
    generations: createGenerationStore(pool),
    features: createFeatureSource(features),
    schedules: createScheduleStore(pool),
    whyNotServed: async (modelVersionIds: readonly string[]) => whyNotServed(await readinessOf(pool, modelVersionIds)),
    outbox: createOutbox(pool),
    marks: createHistoryMarks(pool),
    erasures: createErasureStore(pool),
    countWithdrawals: () => findCount(pool, 'withdrawals'),
    expiring: createExpiries(pool),
    listGenerations: () => listOnlineGenerations(pool, rollbackCacheMb * 1e6),
    turns,
    removeUnusedArtifacts: () => removeUnused(pool, objects),
    rewriteContexts: () => rewriteContexts(pool),
    examineWatches: createExamineWatches({ pool, features }, turns),
  };
}

/**
 * Creates the dependencies that use the online store.
 * @param assertKnown throws after the protocol number has changed; it stops loads and sweeps that began before
 */
function createOnline(url: string, log: Log, assertKnown: () => void) {
  const libraryLog = createLibraryLog(log);
  const connection = createOnlineConnection({
    url,
    log: libraryLog,
    commandTimeoutMs: BULK_TIMEOUT_MS,
    socketTimeoutMs: BULK_SILENCE_MS,
    assertAllowed: assertKnown,
  });
  return {
    loader: new OnlineGenerationLoader({ connection }),
    sweeper: new OnlineGenerationSweeper({ connection }),
    online: createOnlinePredictions({ connection, log: libraryLog }),
    windows: createRefreshWindows({ connection }),
    overlay: createOverlayStore({ connection }),
    userHints: createHintStore({ connection }),
    markMemory: createMarkMemory({ connection }),
    erasures: createErasures({ connection }),
    withdrawals: createCount('withdrawals', { connection }),
    checkFit: createCheckFit({ connection, log: libraryLog }),
    isOpen: () => connection.isOpen(),
    close: () => connection.close(),
  };
}

async function keepModels(pools: WorkerPools, registry: StoredRegistry, scorer: InferencePool, log: Log) {
  const register = await openRegister(pools.vital, 'worker', RELEASE, pools.room);
  return keepLoaded({ register, modelVersion: registry.modelVersion, load: scorer.load, ...createLoadLog(log) });
}

/** Measures the CPU time of chunks: the time of this process plus the time of the batches in its children. */
function createBatchCpu() {
  let inferenceMs = 0;
  return {
    onRun({ priority, cpuMs }: FinishedRun) {
      if (priority === 'batch') inferenceMs += cpuMs;
    },
    ofChunks: createChunkCpu(() => {
      const { user, system } = process.cpuUsage();
      return inferenceMs + (user + system) / 1_000;
    }),
  };
}

/**
 * The nice value of inference children. On a shared machine, an API's children (10) come first, because readers wait
 * for them. Shadows (19) come last.
 */
const NICE_STEPS = 14;

/** The most rows of a chunk in one inference run. */
const SLICE_ROWS = 4_096;

/** Creates the scorer, the CPU budget of re-scoring, and the CPU clock of chunks. */
function createScorer(
  { inference, workerProcess }: Pick<WorkerEnvironment, 'inference' | 'workerProcess'>,
  registry: Pick<StoredRegistry, 'loadArtifact'>,
  { log, metrics }: { readonly log: Log; readonly metrics: Metrics },
) {
  const { processes, memoryMb, threads } = inference;
  // More processes than CPUs run while others wait, but add no CPU time.
  const processors = Math.min(processes, Math.max(1, availableParallelism() - 1));
  const share = createRefreshBudget(workerProcess.refreshShare, processors, metrics);
  const cpu = createBatchCpu();
  const scorer = createInferencePool({
    loadArtifact: keepFiles(registry.loadArtifact),
    log: createLibraryLog(log),
    onLoad: countLoads(metrics),
    onRun(run) {
      share.onRun(run);
      cpu.onRun(run);
    },
    onRestart: (why) => metrics.inferenceRestarts.inc({ why }),
    processes,
    niceSteps: NICE_STEPS,
    sliceRows: SLICE_ROWS,
    memoryLimitMb: memoryMb,
    threads,
  });
  return { scorer, budget: share.budget, cpu: cpu.ofChunks };
}
