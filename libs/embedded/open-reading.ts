/**
 * Builds the parts of a process that reads predictions: an API, or an application with an embedded reader. Opened parts
 * are added to a list and closed in reverse.
 */
import type { LivePredictor } from '@tandem/freshness/live-predictor';
import { createPredictionMemory } from '@tandem/freshness/prediction-memory';
import { createPredictionReader } from '@tandem/freshness/reader';
import type { LastKnown } from '@tandem/freshness/unverified-read';
import { IsolatedPools } from '@tandem/inference/live/isolated-pools';
import { keepFiles } from '@tandem/inference/live/kept-files';
import { createInferencePool } from '@tandem/inference/live/pool';
import { createAuthority } from '@tandem/offline-store/certificate/authority';
import { createFeatureSource } from '@tandem/offline-store/features/features';
import { type BucketOptions, createBucket } from '@tandem/offline-store/models/artifact-bucket';
import { createArtifactStore } from '@tandem/offline-store/models/artifacts';
import { createRegistry, type StoredRegistry } from '@tandem/offline-store/models/registry';
import { openRegister } from '@tandem/offline-store/processes/processes';
import { createLossyWriter, createOverlayStore as createOverlayRows } from '@tandem/offline-store/reads/overlay';
import { createStoredPredictions } from '@tandem/offline-store/reads/predictions';
import { observeVisible } from '@tandem/offline-store/reads/visible-delays';
import type { DatabasePaths } from '@tandem/offline-store/sql/paths';
import { reportLostPast } from '@tandem/offline-store/sql/report-lost-past';
import { createMarkMemory } from '@tandem/online-store/mark-memory';
import { createOnlineConnection } from '@tandem/online-store/online-connection';
import { createOverlayStore } from '@tandem/online-store/overlay-store';
import { createOnlinePredictions } from '@tandem/online-store/predictions';
import type { MarkMemory } from '@tandem/prediction/events/notice-loss';
import { createLivePredictor } from '@tandem/prediction/live/live-prediction';
import type { ProcessRegister } from '@tandem/prediction/processes/loaded-versions';
import type { ProcessKind } from '@tandem/prediction/processes/processes';
import { createLibraryLog, type Log } from '@tandem/telemetry/log';
import type { Metrics } from '@tandem/telemetry/metrics';
import { RELEASE } from '@tandem/telemetry/release';
import { countLoads } from '@tandem/telemetry/sampled-stats';
import { type KeptModels, keepModels } from './keep-loaded.ts';
import { type OpenObserver, openObservers, type ReadingHost } from './observe-answers.ts';
import { observeDemand } from './observe-demand.ts';
import { observeCertificates, observeLive, observeOnline, observeStatements } from './observe-stores.ts';
import { mayInfer, NOT_LIVE, onlyLoaded } from './only-loaded.ts';
import { openLossNotice } from './open-loss-notice.ts';
import type { ReadingPools } from './open-pools.ts';

export interface ReadingSettings {
  /** The program: its kind in the list of processes, and part of the names of its connections. */
  readonly kind: Exclude<ProcessKind, 'worker'>;
  /** `certifyWithinMs`: how long a read waits for its certificate. Default: the limit of the authority. */
  readonly database: DatabasePaths & { readonly certifyWithinMs?: number };
  /**
   * The model versions for live inference: any assigned version, which is loaded if needed; only loaded versions; or
   * none.
   */
  readonly live: 'any' | 'loaded' | 'none';
  /** `commandTimeoutMs`: the longest time that a read waits for Redis; default: the connection's limit. */
  readonly redis: { readonly url: string; readonly commandTimeoutMs?: number };
  readonly inference: InferenceSettings & { readonly refusalPatienceMs?: number | undefined };
  /** The bucket of model files. Default: Postgres. */
  readonly artifacts?: BucketOptions | null;
  /** The memory for recently read predictions. Default: none. */
  readonly answerCache?: { readonly megabytes: number };
  /** The observers of answers, beside the counts of demand. */
  readonly observers?: readonly OpenObserver[];
  readonly log: Log;
  readonly metrics: Metrics;
  /** The prefix of the online store's keys. */
  readonly prefix?: string;
  /**
   * One time limit in ms for all stores and pools, in place of the default of each. A machine that is too busy for the
   * defaults needs it.
   */
  readonly limitMs?: number | undefined;
}

/** The opened resources, to be closed in reverse. */
export type Opened = (() => unknown)[];

export type Reading = Awaited<ReturnType<typeof openReading>>;

/** Returns the options of the stores for a time limit of all of them. Without one, each store has its default. */
function limits(limitMs: number | undefined) {
  if (limitMs === undefined) return { rows: {}, features: {}, registry: {} };
  return {
    rows: { withinMs: limitMs },
    features: { usersTimeoutMs: limitMs },
    registry: { loadWithinMs: limitMs },
  };
}

/** Closes all parts in reverse, and then rejects with the first error. Safe to repeat. */
export async function closeOpened(opened: Opened): Promise<void> {
  const errors: unknown[] = [];
  for (const closeOne of opened.splice(0).reverse()) {
    try {
      await closeOne();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}

/**
 * Opens the parts. Resolves when everything for the first reads is ready, or after 10 s. The caller closes the pools.
 */
export async function openReading(
  settings: ReadingSettings,
  pools: ReadingPools & Pick<ReadingHost, 'afterReplies'>,
  opened: Opened,
) {
  const stored = openOnline(settings, opened);
  const postgres = openPostgres(settings, pools, stored.markMemory, opened);
  const redis = { ...stored, online: postgres.losses.onceSure(stored.online) };
  const memory = createPredictionMemory({ maxBytes: (settings.answerCache?.megabytes ?? 0) * 1e6 });
  const lastKnown = new Map<string, LastKnown>();
  const assignments = (predictor: string) => lastKnown.get(predictor)?.assignments;
  const scorer = openInference(settings, postgres.registry, opened);
  const { kept, live } = await keepReady(settings, pools, { postgres, redis, scorer }, opened);
  const may = mayInfer(settings.live, kept);
  const { authority, registry, offline } = postgres;
  const { limitMs, log, metrics, observers = [] } = settings;
  const host = { ...pools, registry, assignments, mayInfer: may, limitMs, log, metrics };
  const answers = openObservers(
    [observeDemand, ...observers],
    { ...host, childMemoryMb: settings.inference.memoryMb },
    opened,
  );
  const lostPast = reportLostPast(pools.pool, settings);
  const readers = { authority, registry, online: redis.online, offline, live, memory, lastKnown, lostPast };
  const readPrediction = createPredictionReader(readers);
  const infersLive = settings.live !== 'none';
  return {
    ...{ ...postgres, redis, memory, assignments, scorer, kept, infersLive, mayInfer: may },
    ...{ readPrediction, ...answers },
  };
}

interface LiveParts {
  readonly postgres: ReturnType<typeof openPostgres>;
  readonly redis: OpenedOnline;
  readonly scorer: IsolatedPools;
}

/** Registers the process, and makes its children load the models that it may need. */
async function keepReady(settings: ReadingSettings, pools: ReadingPools, parts: LiveParts, opened: Opened) {
  const { kind, live, log } = settings;
  const { postgres, scorer } = parts;
  const entered = await openRegister(pools.vital, kind, RELEASE, pools.room);
  const register = live === 'none' ? withoutModels(entered) : entered;
  const kept = keepModels({ ...postgres, pool: pools.pool, register, scorer, log });
  opened.push(() => kept.close());
  await kept.begun;
  return { kept, live: createLive(settings, parts, kept) };
}

/** Returns a register that only sends heartbeats. It neither requests nor reports model versions. */
function withoutModels(register: ProcessRegister): ProcessRegister {
  return { ...register, beat: () => register.beat([]).then(() => []) };
}

function createLive(
  settings: ReadingSettings,
  { postgres, redis, scorer }: LiveParts,
  kept: KeptModels,
): LivePredictor {
  const { live, metrics, inference } = settings;
  if (live === 'none') return NOT_LIVE;
  const predictor = createLivePredictor({
    features: postgres.featureSource,
    scorer,
    loadShedding: scorer,
    overlay: redis.overlay,
    keepLater: postgres.keeper.keepLater,
    keepNow: postgres.keeper.keepNow,
    onAnswered: observeLive(metrics),
    refusalPatienceMs: inference.refusalPatienceMs,
  });
  return live === 'any' ? predictor : onlyLoaded(predictor, kept);
}

function openPostgres(
  { kind, database, artifacts = null, metrics, log, limitMs }: ReadingSettings,
  { pool, features, directUrl }: ReadingPools,
  memory: MarkMemory,
  opened: Opened,
) {
  const most = limits(limitMs);
  const offline = createStoredPredictions(pool, most.rows);
  const featureSource = createFeatureSource(features, most.features);
  const bucket = artifacts && createBucket(artifacts);
  const registry = createRegistry(pool, { artifacts: createArtifactStore(pool, bucket), ...most.registry });
  const losses = openLossNotice(pool, memory, log);
  opened.push(() => losses.stop());
  const authority = createAuthority(directUrl, {
    // Notices from before the loss may belong to a past that the database no longer has.
    onConnect: losses.look,
    // A certificate notifies the registry of adoptions, so the predictors are read after it.
    onRevision: (revision, history) => registry.noticeRevision(revision, history),
    applicationName: `tandem-${kind}-authority`,
    ...(database.certifyWithinMs === undefined ? {} : { timeoutMs: database.certifyWithinMs }),
    onStatement: observeStatements(metrics),
    onCertificate: observeCertificates(metrics, log),
    onTombstonesFull: (erasures) => log.warn('tombstones.not_kept', { erasures }),
  });
  opened.push(() => authority.close());
  const keeper = createLossyWriter(observeVisible(createOverlayRows(pool), pool, metrics));
  opened.push(() => keeper.close());
  return { featureSource, offline, keeper, authority, registry, losses };
}

interface InferenceSettings {
  readonly processes: number;
  readonly memoryMb: number;
  readonly queueLimit: number;
  readonly batchLimit?: number;
  readonly threads?: number;
}

/**
 * Opens the children.
 * @param opened resources to close at the end; this function adds its own
 */
function openInference(
  { inference, log, metrics }: ReadingSettings,
  registry: StoredRegistry,
  opened: Opened,
): IsolatedPools {
  const loadArtifact = keepFiles(registry.loadArtifact);
  const scorer = new IsolatedPools((options) =>
    createInferencePool({
      loadArtifact,
      log: createLibraryLog(log),
      onLoad: countLoads(metrics),
      onRestart: (why) => metrics.inferenceRestarts.inc({ why }),
      onRest: (predictor) => metrics.modelRests.inc({ predictor }),
      processes: inference.processes,
      memoryLimitMb: inference.memoryMb,
      maxQueue: inference.queueLimit,
      threads: inference.threads,
      ...(inference.batchLimit === undefined ? {} : { maxLiveRows: inference.batchLimit }),
      ...options,
    }),
  );
  opened.push(() => scorer.close());
  return scorer;
}

export type OpenedOnline = ReturnType<typeof openOnline>;

/**
 * Opens the online store.
 * @param opened resources to close at the end; this function adds its own
 */
function openOnline({ redis, log, metrics, prefix }: ReadingSettings, opened: Opened) {
  const libraries = createLibraryLog(log);
  const open = (commandTimeoutMs?: number) => {
    const limit = commandTimeoutMs === undefined ? {} : { commandTimeoutMs };
    const connection = createOnlineConnection({ url: redis.url, log: libraries, ...limit });
    opened.push(() => connection.close());
    return { connection, ...(prefix === undefined ? {} : { prefix }) };
  };
  const keys = open(redis.commandTimeoutMs);
  return {
    /** The connection with the prefix of its keys. */
    keys,
    /** Opens another connection with its own time limit. */
    open,
    connection: keys.connection,
    online: observeOnline(createOnlinePredictions({ ...keys, log: libraries }), metrics),
    overlay: createOverlayStore(keys),
    markMemory: createMarkMemory(keys),
  };
}
