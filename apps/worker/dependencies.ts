/** Builds what a worker works with, from the environment, and closes it in reverse. */

import type {
  DatabaseSection,
  InferenceSection,
  RedisSection,
  WorkerSection,
} from '@tandem/config/environment/environment-sections';
import { latestSlot } from '@tandem/config/predictor/schedule';
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import { createInferencePool, type InferencePool } from '@tandem/inference/live/pool';
import { createOutbox } from '@tandem/offline-store/events/events';
import { assertFeatureLogin, createFeaturePool } from '@tandem/offline-store/features/feature-login';
import { createFeatureSource } from '@tandem/offline-store/features/features';
import { listOnlineGenerations } from '@tandem/offline-store/generations/generation-rows';
import { createGenerationStore } from '@tandem/offline-store/generations/generations';
import { type BucketOptions, createBucket } from '@tandem/offline-store/models/artifact-bucket';
import { createArtifactStore } from '@tandem/offline-store/models/artifacts';
import { createRegistry, type StoredRegistry } from '@tandem/offline-store/models/registry';
import { createExpiries } from '@tandem/offline-store/retention';
import { openRegister, readinessOf } from '@tandem/offline-store/rollouts/processes';
import { createRolloutChecks } from '@tandem/offline-store/rollouts/rollout-checks';
import { createRolloutStore } from '@tandem/offline-store/rollouts/rollouts';
import { findBacklog } from '@tandem/offline-store/runs/backlog';
import { createRunStore } from '@tandem/offline-store/runs/run-store';
import { createScheduleStore } from '@tandem/offline-store/runs/schedules';
import { createPool } from '@tandem/offline-store/sql/database';
import { createHistoryMarks } from '@tandem/offline-store/sql/history-marks';
import { schemaState } from '@tandem/offline-store/sql/migrate';
import { createErasureStore } from '@tandem/offline-store/users/erasures';
import { createErasures } from '@tandem/online-store/erasures';
import { createGenerationLoader } from '@tandem/online-store/generation-loader';
import { createGenerationSweeper } from '@tandem/online-store/generation-sweeper';
import { createMarkMemory } from '@tandem/online-store/mark-memory';
import { createOnlineConnection } from '@tandem/online-store/online-connection';
import { createHintStore, createOverlayStore } from '@tandem/online-store/overlay-store';
import { createKeepErased } from '@tandem/prediction/erasure/keep-erased';
import { createLossNotice } from '@tandem/prediction/events/notice-loss';
import { keepLoaded } from '@tandem/prediction/rollouts/loaded-versions';
import { whyNotServed } from '@tandem/prediction/rollouts/processes';
import { createChunkLoads, gatherLoads } from '@tandem/prediction/runs/load-chunk';
import { createQueue } from '@tandem/queue/enqueue';
import { countWarnings } from '@tandem/telemetry/counted-log';
import { createLoadLog } from '@tandem/telemetry/load-log';
import { createLibraryLog, type Log } from '@tandem/telemetry/log';
import { createMetrics, type Metrics } from '@tandem/telemetry/metrics';
import { RELEASE } from '@tandem/telemetry/release';
import { createRunHints } from './hints.ts';
import { createObserveBacklog } from './observe-backlog.ts';
import { createCheckFit } from './processors/check-fit.ts';
import { createRoundMetrics } from './round-metrics.ts';
import { sampledMetrics } from './sampled-metrics.ts';
import { STEPS, type WorkerDependencies } from './worker.ts';
import type { WorkerProcessSection } from './worker-section.ts';

export interface WorkerEnvironment {
  readonly database: DatabaseSection;
  /** The bucket of model files; Postgres where it is not said. */
  readonly artifacts?: BucketOptions | null;
  readonly redis: RedisSection;
  readonly inference: InferenceSection;
  readonly worker: WorkerSection;
  readonly workerProcess: WorkerProcessSection;
}

export interface BuiltDependencies extends WorkerDependencies {
  close(): Promise<void>;
}

/** Bulk writes wait for a server that is busy with the ones before; a read's 50 ms would be far too short. */
const BULK_TIMEOUT_MS = 5_000;
const BULK_SILENCE_MS = 10_000;
/** Statements of one chunk at a time: the work itself, and the renewal of its lease. */
const CONNECTIONS_A_CHUNK = 2;
/** For the loops, loads, and the renewals of the leases of steps. */
const OTHER_CONNECTIONS = 6;
/** To cancel what they read, beside a plan or comparison of each step and a statement of each chunk. */
const OTHER_FEATURE_CONNECTIONS = 2;

/** Rejects with `config_invalid` where the schema is not this release's, or the queue's Redis may evict keys. */
export async function createDependencies(environment: WorkerEnvironment, ownLog: Log): Promise<BuiltDependencies> {
  const metrics = createMetrics({ app: 'worker' });
  const log = countWarnings(ownLog, metrics);
  const pools = await openPools(environment);
  const queue = await createQueue({ url: environment.redis.queueUrl, log });
  const online = createOnline(environment.redis.url, log);
  const offline = createOffline(pools, environment.artifacts ?? null, environment.workerProcess.rollbackCacheMb);
  const scorer = createScorer(environment.inference, offline.registry, { log, metrics });
  const kept = keepModels(environment.database, offline.registry, scorer, log);
  const { runs, generations, expiring } = offline;
  const { loader, checkFit } = online;
  const hints = createRunHints(queue);
  const leaseMs = environment.workerProcess.leaseMs;
  const lease = { leaseMs, renewMs: Math.floor(leaseMs / 3) };
  const loads = createChunkLoads({
    onFailed: ({ runId, no }, error) => log.warn('chunk.not_loaded', { runId, no, error }),
  });
  const rounds = createRoundMetrics(metrics);
  const losses = createLossNotice(offline.marks, online.markMemory);
  return {
    ...{ runs, generations, expiring, loader, hints, losses, checkFit, queue, log, onRound: rounds.onRound },
    metrics: sampledMetrics(metrics, {
      ...pools,
      scorer,
      isOnlineOpen: online.isOpen,
      sampleRounds: rounds.sample,
    }),
    observeBacklog: createObserveBacklog({ findBacklog: () => findBacklog(pools.pool), queue, metrics }),
    chunks: { ...offline, ...online, loader: gatherLoads(loader), scorer, hints, lease, loads },
    reconciling: {
      ...{ ...offline, ...online, hints },
      losses,
      erasures: createKeepErased({ store: offline.erasures, online: online.erasures }),
    },
    retaining: { ...offline, ...online },
    scheduling: { runs, hints, latestSlot, schedules: offline.schedules },
    rolling: { ...offline, hints },
    async close() {
      await loads.settled();
      await kept.close();
      await scorer.close();
      online.close();
      await queue.close();
      await Promise.all([pools.pool.end(), pools.features.end()]);
    },
  };
}

type Pool = ReturnType<typeof createPool>;

/** A database that is away now may be back when the first job comes; one that was never migrated will not mend itself. */
async function assertMigrated(pool: Pool): Promise<void> {
  const schema = await schemaState(pool).catch(() => null);
  if (schema === null || schema.state === 'current' || schema.state === 'ahead') return;
  throw new TandemError('config_invalid', `The database's schema is ${schema.state}: it lacks ${schema.pending[0]}.`, {
    field: 'DATABASE_URL',
    remedy: 'run `tandem migrate`',
  });
}

interface Pools {
  readonly pool: Pool;
  /** Of statements with a feature query. */
  readonly features: Pool;
}

async function openPools({ database, worker }: WorkerEnvironment): Promise<Pools> {
  const { chunkConcurrency } = worker;
  const pool = createPool({
    url: database.url,
    max: chunkConcurrency * CONNECTIONS_A_CHUNK + 2 * STEPS + OTHER_CONNECTIONS,
    applicationName: 'tandem-worker',
  });
  const features = createFeaturePool(database, {
    max: chunkConcurrency + 2 * STEPS + OTHER_FEATURE_CONNECTIONS,
    applicationName: 'tandem-worker-features',
  });
  await assertMigrated(pool);
  if (database.featuresUrl === database.url) return { pool, features };
  // As for the schema: a login that will not do is refused, a database that is away is not.
  await assertFeatureLogin(pool, features).catch((error: unknown) => {
    if (!isTandemError(error, 'unavailable')) throw error;
  });
  return { pool, features };
}

function createOffline({ pool, features }: Pools, bucket: BucketOptions | null, rollbackCacheMb: number) {
  const artifacts = createArtifactStore(pool, bucket && createBucket(bucket));
  return {
    registry: createRegistry(pool, undefined, artifacts),
    runs: createRunStore(pool, { features }),
    generations: createGenerationStore(pool),
    features: createFeatureSource(features),
    schedules: createScheduleStore(pool),
    rollouts: createRolloutStore(pool),
    checks: createRolloutChecks(pool),
    whyNotServed: async (modelVersionIds: readonly string[]) => whyNotServed(await readinessOf(pool, modelVersionIds)),
    outbox: createOutbox(pool),
    marks: createHistoryMarks(pool),
    erasures: createErasureStore(pool),
    expiring: createExpiries(pool),
    listGenerations: () => listOnlineGenerations(pool, rollbackCacheMb * 1e6),
  };
}

function createOnline(url: string, log: Log) {
  const libraryLog = createLibraryLog(log);
  const connection = createOnlineConnection({
    url,
    log: libraryLog,
    commandTimeoutMs: BULK_TIMEOUT_MS,
    socketTimeoutMs: BULK_SILENCE_MS,
  });
  return {
    loader: createGenerationLoader({ connection }),
    sweeper: createGenerationSweeper({ connection }),
    overlay: createOverlayStore({ connection }),
    userHints: createHintStore({ connection }),
    markMemory: createMarkMemory({ connection }),
    erasures: createErasures({ connection }),
    checkFit: createCheckFit({ connection, log: libraryLog }),
    isOpen: () => connection.isOpen(),
    close: () => connection.close(),
  };
}

function keepModels({ url }: DatabaseSection, registry: StoredRegistry, scorer: InferencePool, log: Log) {
  const register = openRegister(url, 'worker', RELEASE);
  return keepLoaded({ register, modelVersion: registry.modelVersion, load: scorer.load, ...createLoadLog(log) });
}

function createScorer(
  section: InferenceSection,
  registry: Pick<StoredRegistry, 'loadArtifact'>,
  { log, metrics }: { readonly log: Log; readonly metrics: Metrics },
) {
  return createInferencePool({
    loadArtifact: registry.loadArtifact,
    log: createLibraryLog(log),
    onRestart: (why) => metrics.inferenceRestarts.inc({ why }),
    processes: section.processes,
    memoryLimitMb: section.memoryMb,
  });
}
