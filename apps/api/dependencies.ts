/** Builds all dependencies of the API, and closes them in reverse order. */

import { createLiveFailureLog } from '@tandem/endpoints/live-failure-log';
import { createRefusalLog } from '@tandem/endpoints/refusal-log';
import { loadParts } from '@tandem/extension/load-parts';
import type { Predictor } from '@tandem/freshness/predictor';
import { findSettings } from '@tandem/offline-store/sql/settings';
import { createQueue, type Queue } from '@tandem/queue/enqueue';
import { closeOpened, type Opened, openReading } from '@tandem/reading/open-reading';
import { type Part, proveDatabase } from '@tandem/reading/prove-database';
import { countWarnings } from '@tandem/telemetry/counted-log';
import { sampledMetrics } from '@tandem/telemetry/sampled-stats';
import { serialiseRefusal } from '@tandem/telemetry/serialise-error';
import type { WideEvent } from '@tandem/telemetry/wide-event';
import type { AppDependencies } from './app.ts';
import { EXTENSIONS } from './extensions.ts';
import { requireKnown } from './routes/explanations/explain.ts';
import { createAnswerMany } from './routes/predictions/answer-many.ts';
import { hintWorker } from './routes/runs/run-view.ts';
import { apiSamples, openWorkSignal } from './wiring/api-samples.ts';
import type { ApiSettings } from './wiring/api-settings.ts';
import { observeForKeeper, openExplanationKeeper, openExplanations } from './wiring/open-explanations.ts';
import { openKeys } from './wiring/open-keys.ts';
import { openModels } from './wiring/open-models.ts';
import { type ApiPools, openPools } from './wiring/open-pools.ts';
import { openRuns } from './wiring/open-runs.ts';
import { openOnlineWriting, openUsers, openWriting } from './wiring/open-writing.ts';
import {
  createReadiness,
  createReadinessParts,
  type ReadinessChecker,
  type ReadinessPartsDependencies,
} from './wiring/readiness.ts';
import type { OpenedDependencies } from './wiring/route-dependencies.ts';

export type ApiDependencies = Awaited<ReturnType<typeof createDependencies>>;

/** The logged share of successes, one in a thousand: enough examples, at no noticeable cost. */
const LOG_SHARE = 0.001;

/** Builds the dependencies. `close` closes resources in the reverse order of opening. */
export async function createDependencies(settings: ApiSettings) {
  const opened: Opened = [];
  const close = () => closeOpened(opened);
  try {
    const log = countWarnings(settings.log, settings.metrics);
    const app = await build({ ...settings, log }, opened);
    return { app: { ...app, ...sharedCalls(app) }, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Returns the functions that routes and extensions share. */
function sharedCalls(app: OpenedDependencies) {
  return {
    answerMany: createAnswerMany(app),
    hintRun: (runId: string, event: WideEvent) => hintWorker(app, runId, event),
    requireKnown: (predictor: Predictor, userId: string) => requireKnown(app, predictor, userId),
  };
}

async function build(settings: ApiSettings, opened: Opened): Promise<OpenedDependencies<AppDependencies>> {
  const { log, metrics, servesMetrics, isOurHost, logShare = LOG_SHARE, parts = [] } = settings;
  const queue = await openQueue(settings, opened);
  const pools = await openProvedPools(settings, opened);
  const { explanationKeeper, ...reading } = await openAnswering(settings, pools, opened);
  const { pool, features } = pools;
  const { registry, authority, offline, scorer, kept, memory, losses, readPrediction, onAnswer } = reading;
  const { connection, online } = reading.redis;
  const writing = openOnlineWriting(reading.redis);
  const keys = await openKeys(settings.keys ?? null, pools.vital, log, settings.keysEveryMs);
  opened.push(() => keys.close());
  const checked = [...pools.proved, ...parts, ...keys.parts];
  const extensions = await loadParts(settings.extensions ?? EXTENSIONS, 'routes');
  const keyType = async () => (await registry.predictors())[0]?.keyType ?? (await findSettings(pool)).keyType;
  return {
    log,
    metrics: sampledMetrics(metrics, 'api', {
      ...{ scorer, pool, features, isOnlineOpen: () => connection.isOpen() },
      samples: apiSamples(metrics, {
        ...{ answers: reading.answerSamples, remembered: memory.size, overlayWritesDropped: reading.keeper.dropped },
        workSignal: openWorkSignal(pool, writing.loader, settings.runDeadlineMs),
      }),
    }),
    ...{ servesMetrics, isOurHost, logShare, random: Math.random },
    access: keys.access,
    refusalLog: createRefusalLog({ logShare, random: Math.random }),
    liveFailureLog: createLiveFailureLog(),
    ...{ extensions, readPrediction, registry, authority, online, offline, onAnswer, explanationKeeper },
    infer: (request) => scorer.infer(request),
    ...openWriting({ pool, keyType, hints: writing.hints, metrics, limitMs: settings.limitMs }),
    ...openUsers(pool, writing.erasures, memory),
    keyType,
    ...openModels(settings, pools, registry),
    ...openExplanations(settings, pools, registry, opened),
    ...openRuns({ ...{ pool, features, losses, limitMs: settings.limitMs }, withdrawals: writing.withdrawals }, queue),
    readiness: openReadiness(settings, { pools, authority, connection, scorer, kept }, checked),
  };
}

/** Opens the parts that answer reads, and the observers of answers. */
async function openAnswering(settings: ApiSettings, pools: ApiPools, opened: Opened) {
  const explanationKeeper = openExplanationKeeper(settings, pools);
  const parts = await loadParts(settings.extensions ?? EXTENSIONS, 'observe');
  const ofExtensions = settings.observers ?? parts.flatMap((part) => part.observers);
  const observers = [...ofExtensions, () => observeForKeeper(explanationKeeper, settings.metrics)];
  const reading = await openReading({ ...settings, kind: 'api', live: 'any', observers }, pools, opened);
  return { ...reading, explanationKeeper };
}

function openReadiness(
  { log, limitMs }: Pick<ApiSettings, 'log' | 'limitMs'>,
  dependencies: ReadinessPartsDependencies,
  more: readonly Part[],
): ReadinessChecker {
  return createReadiness({
    ...(limitMs === undefined ? {} : { timeoutMs: limitMs }),
    parts: [...createReadinessParts(dependencies), ...more],
    onFailed: (part, error) => log.warn('readiness.failed', { part, error: serialiseRefusal(error) }),
    onMended: (part) => log.info('readiness.mended', { part }),
  });
}

/** Opens the pools and checks the database. The result says which parts of readiness are not proved yet. */
async function openProvedPools({ database, limitMs }: ApiSettings, opened: Opened) {
  const pools = openPools(database, database.connections, limitMs);
  opened.push(() => pools.close());
  return { ...pools, proved: await proveDatabase(database, pools) };
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
