/** Builds everything that the API is made of, and closes it in reverse. */
import { createInferencePool, type InferencePool } from '@tandem/inference/pool';
import { createAuthority } from '@tandem/offline-store/authority';
import { createPool } from '@tandem/offline-store/database';
import { createEventStore } from '@tandem/offline-store/events';
import { createFeatureSource } from '@tandem/offline-store/features';
import { createGenerationStore } from '@tandem/offline-store/generations';
import { createLossyWriter } from '@tandem/offline-store/lossy-writer';
import { createOverlayStore as createOverlayRows } from '@tandem/offline-store/overlay';
import { createStoredPredictions } from '@tandem/offline-store/predictions';
import { findProvenance } from '@tandem/offline-store/provenance';
import { createRegistry, type StoredRegistry } from '@tandem/offline-store/registry';
import { createRunStore } from '@tandem/offline-store/run-store';
import { findSettings } from '@tandem/offline-store/settings';
import { createOnlineConnection, type OnlineConnection } from '@tandem/online-store/connection';
import { createHintStore } from '@tandem/online-store/hint-store';
import { createOverlayStore } from '@tandem/online-store/overlay-store';
import { createOnlinePredictions } from '@tandem/online-store/predictions';
import type { Authority } from '@tandem/prediction/certificate';
import { createLivePredictor } from '@tandem/prediction/live-prediction';
import { createPredictionReader } from '@tandem/prediction/read-prediction';
import { createQueue, type Queue } from '@tandem/queue/enqueue';
import type { EventName, Log } from '@tandem/telemetry/log';
import type { Metrics } from '@tandem/telemetry/metrics';
import type { AppDependencies } from './app.ts';
import { findUserContext } from './find-user-context.ts';
import { observeAuthority, observeLive, observeOnline } from './observe-stores.ts';
import { createReadinessParts } from './readiness-parts.ts';
import { createRecordEvents } from './record-events.ts';
import { createReadiness } from './routes/health/readiness.ts';
import { createRunWatcher } from './routes/runs/run-watcher.ts';
import { sampledMetrics } from './sampled-metrics.ts';

export interface ApiSettings {
  readonly database: { readonly url: string };
  readonly redis: { readonly url: string; readonly queueUrl: string };
  readonly inference: { readonly processes: number; readonly memoryMb: number; readonly queueLimit: number };
  readonly log: Log;
  readonly metrics: Metrics;
  readonly servesMetrics: boolean;
  /** The share of successful requests that are logged, 0 to 1. */
  readonly logShare?: number;
  /** Of the online store's keys, and of the queues'. */
  readonly prefix?: string;
}

export interface ApiDependencies {
  readonly app: AppDependencies;
  /** In reverse of the order in which things were opened. */
  close(): Promise<void>;
}

const CONNECTIONS = 12;
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
    return { app: await build(settings, opened), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function build(settings: ApiSettings, opened: Opened): Promise<AppDependencies> {
  const { log, metrics, servesMetrics, logShare = LOG_SHARE, prefix } = settings;
  const queue = await openQueue(settings, opened);
  const pool = createPool({ url: settings.database.url, max: CONNECTIONS, applicationName: 'tandem-api' });
  opened.push(() => pool.end());
  const lanes = createAuthority(pool);
  opened.push(() => lanes.close());
  const authority = observeAuthority(lanes, metrics);
  const registry = createRegistry(pool);
  const scorer = openInference(settings, registry, opened);
  const connection = openOnline(settings, opened);
  const named = prefix === undefined ? {} : { prefix };
  const online = observeOnline(createOnlinePredictions({ connection, log: writerOf(log), ...named }), metrics);
  const offline = createStoredPredictions(pool);
  const keeper = createLossyWriter(createOverlayRows(pool));
  opened.push(() => keeper.close());
  const overlay = createOverlayStore({ connection, ...named });
  const features = createFeatureSource(pool);
  const predictor = createLivePredictor({ features, scorer, overlay, keepLater: keeper.keepLater });
  const runs = createRunStore(pool);
  void warmUp(registry, authority, scorer, log);
  return {
    log,
    metrics: sampledMetrics(metrics, { scorer }),
    servesMetrics,
    logShare,
    random: Math.random,
    readPrediction: createPredictionReader({
      authority,
      registry,
      online,
      offline,
      live: observeLive(predictor, metrics),
    }),
    registry,
    authority,
    online,
    offline,
    recordEvents: createRecordEvents({
      events: createEventStore(pool),
      hints: createHintStore({ connection, ...named }),
      keyType: async () => (await registry.predictors())[0]?.keyType ?? (await findSettings(pool)).keyType,
      onHintFailed: () => metrics.hintsFailed.inc(),
    }),
    contexts: { find: (userId) => findUserContext(pool, userId) },
    explainFeatures: (version, userId) => findProvenance(pool, version, userId),
    runs,
    runWatcher: createRunWatcher({ find: (runId) => runs.find(runId) }),
    enqueuePlan: (runId) => enqueuePlan(queue, runId),
    generations: createGenerationStore(pool),
    readiness: createReadiness({
      parts: createReadinessParts({ pool, authority, connection, scorer }),
      onFailed: (part, error) => log.warn('readiness.failed', { part, error }),
    }),
  };
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

function openInference({ inference, log }: ApiSettings, registry: StoredRegistry, opened: Opened): InferencePool {
  const scorer = createInferencePool({
    loadArtifact: (hash) => registry.loadArtifact(hash),
    log: writerOf(log),
    processes: inference.processes,
    memoryLimitMb: inference.memoryMb,
    maxQueue: inference.queueLimit,
  });
  opened.push(() => scorer.close());
  return scorer;
}

function openOnline({ redis, log }: ApiSettings, opened: Opened): OnlineConnection {
  const connection = createOnlineConnection({ url: redis.url, log: writerOf(log) });
  opened.push(() => connection.close());
  return connection;
}

/** Rejects where the queue did not take it; the reconciler of the workers then finds the run. */
async function enqueuePlan(queue: Queue, runId: string): Promise<void> {
  if (!(await queue.enqueue('plan-run', { runId }))) throw new Error('the queue did not take the job');
}

/** Loads the models in force, so that the first live read does not wait for it. What cannot be loaded now is loaded then. */
async function warmUp(registry: StoredRegistry, authority: Authority, scorer: InferencePool, log: Log): Promise<void> {
  try {
    const [predictors, certificate] = await Promise.all([registry.predictors(), authority.certify([])]);
    for (const { name } of predictors) {
      const assignment = certificate.assignment(name);
      if (assignment) await scorer.warmUp(await registry.modelVersion(assignment.modelVersionId));
    }
  } catch (error) {
    log.warn('inference.not_warmed', { error });
  }
}

/** The libraries' logs are functions of an event's name and fields; how bad an event is, its name tells. */
function writerOf(log: Log) {
  return (event: string, fields: Readonly<Record<string, unknown>>) => log.info(event as EventName, fields);
}
