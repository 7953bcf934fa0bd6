/** Builds everything that the API is made of, and closes it in reverse. */

import { createPredictionMemory, type PredictionMemory } from '@tandem/freshness/prediction-memory';
import { createPredictionReader } from '@tandem/freshness/reader';
import type { LastKnown } from '@tandem/freshness/unverified-read';
import type { HostRule } from '@tandem/http-server/foreign-request';
import type { IsolatedPools } from '@tandem/inference/live/pool';
import { createAuthority } from '@tandem/offline-store/certificate/authority';
import { createFeatureSource } from '@tandem/offline-store/features/features';
import { type BucketOptions, createBucket } from '@tandem/offline-store/models/artifact-bucket';
import { createArtifactStore } from '@tandem/offline-store/models/artifacts';
import { createRegistry } from '@tandem/offline-store/models/registry';
import { createLossyWriter, createOverlayStore as createOverlayRows } from '@tandem/offline-store/reads/overlay';
import { createStoredPredictions } from '@tandem/offline-store/reads/predictions';
import { createReadCountStore } from '@tandem/offline-store/reads/read-demand';
import { observeVisible } from '@tandem/offline-store/reads/visible-delays';
import { openRegister } from '@tandem/offline-store/rollouts/processes';
import { findShadow } from '@tandem/offline-store/rollouts/shadow';
import type { DatabasePaths } from '@tandem/offline-store/sql/paths';
import { findSettings } from '@tandem/offline-store/sql/settings';
import { createErasureStore } from '@tandem/offline-store/users/erasures';
import { findUserContext } from '@tandem/offline-store/users/user-context';
import { createReadCounts } from '@tandem/prediction/demand/count-reads';
import { createEraseUser } from '@tandem/prediction/erasure/erase-user';
import type { MarkMemory } from '@tandem/prediction/events/notice-loss';
import { createLivePredictor } from '@tandem/prediction/live/live-prediction';
import { createQueue, type Queue } from '@tandem/queue/enqueue';
import { countWarnings } from '@tandem/telemetry/counted-log';
import type { Log } from '@tandem/telemetry/log';
import type { Metrics } from '@tandem/telemetry/metrics';
import { RELEASE } from '@tandem/telemetry/release';
import { serialiseRefusal } from '@tandem/telemetry/serialise-error';
import type { AppDependencies } from './app.ts';
import { createRefusalLog } from './http/refusal-log.ts';
import type { KeyMode } from './keys/choose-mode.ts';
import { createLiveFailureLog } from './routes/predictions/live-failure-log.ts';
import { keepModels } from './wiring/keep-loaded.ts';
import { observeCertificates, observeLive, observeStatements } from './wiring/observe-stores.ts';
import { openExplanationKeeper, openExplanations } from './wiring/open-explanations.ts';
import { type InferenceSettings, openInference } from './wiring/open-inference.ts';
import { openKeys } from './wiring/open-keys.ts';
import { openLossNotice } from './wiring/open-loss-notice.ts';
import { openModels } from './wiring/open-models.ts';
import { openOnline, openWriting } from './wiring/open-online.ts';
import { type ApiPools, openPools } from './wiring/open-pools.ts';
import { openServedReads } from './wiring/open-rollouts.ts';
import { openRuns } from './wiring/open-runs.ts';
import { openShadow } from './wiring/open-shadow.ts';
import { openWorkSignal } from './wiring/open-work-signal.ts';
import { proveDatabase } from './wiring/prove-database.ts';
import {
  createReadiness,
  createReadinessParts,
  type Part,
  type ReadinessChecker,
  type ReadinessPartsDependencies,
} from './wiring/readiness.ts';
import { sampledMetrics } from './wiring/sampled-metrics.ts';

export interface ApiSettings {
  /**
   * `connections`: of all pools together. `certifyWithinMs`: how long a read waits to be certified; the authority's own
   * limit where it is not said.
   */
  readonly database: DatabasePaths & { readonly connections?: number; readonly certifyWithinMs?: number };
  /** `commandTimeoutMs`: how long a read waits for Redis; the connection's own limit where it is not said. */
  readonly redis: { readonly url: string; readonly queueUrl: string; readonly commandTimeoutMs?: number };
  readonly inference: InferenceSettings & { readonly refusalPatienceMs?: number | undefined };
  /** The bucket of model files; Postgres where it is not said. */
  readonly artifacts?: BucketOptions | null;
  /** Of uploaded files that no model version uses, in all; a default where it is not said. */
  readonly uploads?: { readonly megabytes: number };
  /** Predictions kept in memory; none where it is not said. */
  readonly answerCache?: { readonly megabytes: number };
  readonly log: Log;
  readonly metrics: Metrics;
  readonly servesMetrics: boolean;
  /** API keys; off where it is not said. */
  readonly keys?: KeyMode;
  /** When runs are to end, for the metric of needed workers; an hour where it is not said. */
  readonly runDeadlineMs?: number;
  /** Milliseconds between two questions for changed keys. */
  readonly keysEveryMs?: number;
  /** Whether a Host header names this service. */
  readonly isOurHost: HostRule;
  /** What else the service's readiness is made of. */
  readonly parts?: readonly Part[];
  /** The share of successful requests that are logged, 0 to 1. */
  readonly logShare?: number;
  /** How often a shadow's sums are kept; its own measure where it is not said. */
  readonly shadow?: { readonly keepEveryMs?: number };
  /** Of the online store's keys, and of the queues'. */
  readonly prefix?: string;
}

export interface ApiDependencies {
  readonly app: AppDependencies;
  /** In reverse of the order in which things were opened. */
  close(): Promise<void>;
}

/** One in a thousand: enough to see what successes look like, too few to cost anything. */
const LOG_SHARE = 0.001;

/** What was opened, to be closed in reverse. */
type Opened = (() => unknown)[];

export async function createDependencies(settings: ApiSettings): Promise<ApiDependencies> {
  const opened: Opened = [];
  const close = async () => {
    for (const closeOne of opened.splice(0).reverse()) await closeOne();
  };
  try {
    const log = countWarnings(settings.log, settings.metrics);
    return { app: await build({ ...settings, log }, opened), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function build(settings: ApiSettings, opened: Opened): Promise<AppDependencies> {
  const { log, metrics, servesMetrics, isOurHost, logShare = LOG_SHARE, parts = [] } = settings;
  const queue = await openQueue(settings, opened);
  const stored = openOnline(settings, opened);
  const pools = await openProvedPools(settings, opened);
  const postgres = openPostgres(settings, pools, stored.markMemory, opened);
  const redis = { ...stored, online: postgres.losses.onceSure(stored.online) };
  const scorer = openInference(settings, postgres.registry, opened);
  const { pool, features, registry, keeper } = postgres;
  const memory = createPredictionMemory({ maxBytes: (settings.answerCache?.megabytes ?? 0) * 1e6 });
  const keys = await openKeys(settings.keys ?? null, pools.vital, log, settings.keysEveryMs);
  opened.push(() => keys.close());
  const lastKnown = new Map<string, LastKnown>();
  const listeners = openListeners(settings, postgres, lastKnown, opened);
  const register = await openRegister(pools.vital, 'api', RELEASE, pools.room);
  const kept = keepModels({ ...postgres, register, scorer, log });
  opened.push(() => kept.close());
  await kept.begun;
  return {
    log,
    metrics: sampledMetrics(metrics, {
      ...{ ...listeners, scorer, pool, features, remembered: memory.size, overlayWritesDropped: keeper.dropped },
      isOnlineOpen: redis.connection.isOpen,
      workSignal: openWorkSignal(pool, redis.loader, settings.runDeadlineMs),
    }),
    ...{ servesMetrics, isOurHost, logShare, random: Math.random },
    access: keys.access,
    refusalLog: createRefusalLog({ logShare, random: Math.random }),
    liveFailureLog: createLiveFailureLog(),
    ...{ ...reading(settings, postgres, redis, scorer, memory, lastKnown), ...listeners, infer: scorer.infer },
    findShadow: (rolloutId) => findShadow(pool, rolloutId),
    ...openWriting({ ...postgres, ...redis, metrics }),
    ...erasing(postgres, redis, memory),
    contexts: { find: (userId) => findUserContext(pool, userId) },
    ...openModels(settings, pools, registry),
    ...openExplanations(settings, postgres, opened),
    ...openRuns(postgres, queue),
    readiness: openReadiness(log, { ...postgres, ...redis, scorer, kept }, [...pools.proved, ...parts, ...keys.parts]),
  };
}

/** Who is told of what is answered. */
function openListeners(
  settings: ApiSettings,
  { pools, pool, registry }: ReturnType<typeof openPostgres>,
  lastKnown: ReadonlyMap<string, LastKnown>,
  opened: Opened,
) {
  const assignments = (predictor: string) => lastKnown.get(predictor)?.assignments;
  const shadow = openShadow(settings, pools, registry, assignments);
  opened.push(() => shadow.close());
  const servedReads = openServedReads({ ...settings, pool, assignments });
  opened.push(() => servedReads.close());
  const explanationKeeper = openExplanationKeeper(settings, pools);
  opened.push(() => explanationKeeper.close());
  const readCounts = createReadCounts({ store: createReadCountStore(pool), random: Math.random });
  opened.push(() => readCounts.close());
  return { shadow, servedReads, readCounts, explanationKeeper };
}

function openReadiness(log: Log, dependencies: ReadinessPartsDependencies, more: readonly Part[]): ReadinessChecker {
  return createReadiness({
    parts: [...createReadinessParts(dependencies), ...more],
    onFailed: (part, error) => log.warn('readiness.failed', { part, error: serialiseRefusal(error) }),
    onMended: (part) => log.info('readiness.mended', { part }),
  });
}

/** With the parts of readiness that are yet to be proved. */
async function openProvedPools({ database }: ApiSettings, opened: Opened) {
  const pools = openPools(database, database.connections);
  opened.push(() => pools.close());
  return { ...pools, proved: await proveDatabase(database, pools) };
}

function openPostgres(
  { database, artifacts = null, metrics, log }: ApiSettings,
  pools: ApiPools,
  memory: MarkMemory,
  opened: Opened,
) {
  const { pool, features, directUrl } = pools;
  const featureSource = createFeatureSource(features);
  const bucket = artifacts && createBucket(artifacts);
  const registry = createRegistry(pool, undefined, createArtifactStore(pool, bucket));
  const losses = openLossNotice(pool, memory, log);
  opened.push(() => losses.stop());
  const authority = createAuthority(directUrl, {
    // What it was told before may be of a past that the database does not have any more.
    onConnect: losses.look,
    // Whoever asks for a certificate first, and for predictors behind it, knows what is adopted.
    onRevision: (revision, history) => registry.noticeRevision(revision, history),
    applicationName: 'tandem-api-authority',
    ...(database.certifyWithinMs === undefined ? {} : { timeoutMs: database.certifyWithinMs }),
    onStatement: observeStatements(metrics),
    onCertificate: observeCertificates(metrics, log),
    onTombstonesFull: (erasures) => log.warn('tombstones.not_kept', { erasures }),
  });
  opened.push(() => authority.close());
  const keeper = createLossyWriter(observeVisible(createOverlayRows(pool), pool, metrics));
  opened.push(() => keeper.close());
  const keyType = async () => (await registry.predictors())[0]?.keyType ?? (await findSettings(pool)).keyType;
  return { pools, pool, features, featureSource, keeper, authority, registry, losses, keyType };
}

/** What reading predictions takes. */
function reading(
  { metrics, inference }: ApiSettings,
  { pool, featureSource, keeper, authority, registry }: ReturnType<typeof openPostgres>,
  { online, overlay }: ReturnType<typeof openOnline>,
  scorer: IsolatedPools,
  memory: PredictionMemory,
  lastKnown: Map<string, LastKnown>,
) {
  const offline = createStoredPredictions(pool);
  const { keepLater } = keeper;
  const live = createLivePredictor({
    features: featureSource,
    scorer,
    loadShedding: scorer,
    overlay,
    keepLater,
    onAnswered: observeLive(metrics),
    refusalPatienceMs: inference.refusalPatienceMs,
  });
  const readPrediction = createPredictionReader({ authority, registry, online, offline, live, memory, lastKnown });
  return { readPrediction, registry, authority, online, offline };
}

/** What erasing and readmitting users takes. */
function erasing(
  { pool, keyType }: ReturnType<typeof openPostgres>,
  { erasures: online }: ReturnType<typeof openOnline>,
  memory: PredictionMemory,
) {
  const store = createErasureStore(pool);
  return { eraseUser: createEraseUser({ store, online, memory }), readmitUser: store.readmit, keyType };
}

async function openQueue({ redis, log, prefix }: ApiSettings, opened: Opened): Promise<Queue> {
  const queue = await createQueue({
    url: redis.queueUrl,
    log,
    ...(prefix === undefined ? {} : { prefix: `{${prefix}}` }),
  });
  opened.push(() => queue.close());
  return queue;
}
