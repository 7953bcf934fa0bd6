/**
 * Starts the API; only this file uses the process. On SIGTERM or SIGINT the API reports not ready and continues to
 * serve while proxies notice. Then, or at once after an uncaught fault, it accepts no more connections, ends streams,
 * finishes requests in progress, and closes its resources in reverse order. The exit code is 0 after a signal, and 1 if
 * the API could not start, met a fault, or hung.
 */

import cluster from 'node:cluster';
import { availableParallelism } from 'node:os';
import { readEnvironment, type VariableReader } from '@tandem/config/environment/environment';
import {
  apiKeys,
  apiProcesses,
  artifacts,
  database,
  furtherPorts,
  type HttpSection,
  hostNames,
  http,
  inference,
  log as logging,
  redis,
  runDeadlineMs,
  watchdogMs,
} from '@tandem/config/environment/environment-sections';
import type { ExtensionPort, PortAddress } from '@tandem/extension/extension';
import { Connections } from '@tandem/http-server/connections';
import type { DrainTime } from '@tandem/http-server/server-drain';
import { createLog, type Log } from '@tandem/telemetry/log';
import { createMetrics } from '@tandem/telemetry/metrics';
import { watchEventLoop } from '@tandem/telemetry/watch-event-loop';
import { type AppDependencies, createApp, mount } from './app.ts';
import { connectionLimit, liveQueueLimit, refusalPatience } from './connection-limit.ts';
import { type ApiDependencies, createDependencies } from './dependencies.ts';
import { createEnding } from './end-in-order.ts';
import { type Exposure, findExposure } from './exposure.ts';
import { PORTS } from './extensions.ts';
import { answerForAll } from './processes/answer-for-all.ts';
import { createMember, type Member } from './processes/member.ts';
import { showMetrics } from './routes/metrics/show.ts';
import { readOneDirectly } from './routes/predictions/read-one.ts';
import { type RunningServer, startPort, startServer } from './server.ts';
import { describeStartFailure } from './start-failure.ts';

/**
 * Reads `ANSWER_CACHE_MB` (64): the memory for recently read predictions, in MB of 10^6 bytes. With 0, each read asks
 * Redis.
 */
const answerCache = (read: VariableReader) => ({
  megabytes: read.whole('ANSWER_CACHE_MB', { least: 0, most: 65_536, instead: 64 }),
});

/**
 * Reads `ARTIFACT_UPLOADS_MB` (4,096), the limit of uploaded model files that no model version uses, for all API
 * processes.
 */
const uploads = (read: VariableReader) => ({
  megabytes: read.whole('ARTIFACT_UPLOADS_MB', { least: 1, most: 10_000_000, instead: 4_096 }),
});

/** Milliseconds for requests in progress at the end. */
const GRACE_MS = 10_000;
/** The longest drain without a proxy, in ms. It lasts only while clients are connected. */
const DIRECT = Object.freeze({ leastMs: 0, mostMs: 1_000 });
/**
 * The drain behind a proxy, in ms. A proxy that asks `/readyz` once a second needs two failures (deploy/haproxy.cfg)
 * before it uses another server.
 */
const FRONTED = Object.freeze({ leastMs: 3_000, mostMs: 3_000 });
/**
 * Milliseconds after which the process exits in any case. The time is longer than the drain, the grace period and
 * closing together, and shorter than the 30 s after which orchestrators kill.
 */
const LAST_RESORT_MS = 20_000;
/** The drain of one of several processes, in ms: the others keep serving the port. */
const AT_ONCE = Object.freeze({ leastMs: 0, mostMs: 0 });
/** The most connections to the separate metrics port. They do not count against the API's connections. */
const MOST_SCRAPING = 8;

const readSettings = () =>
  readEnvironment(process.env, {
    apiProcesses,
    database,
    redis,
    http,
    inference,
    logging,
    answerCache,
    apiKeys,
    hostNames,
    watchdogMs,
    artifacts,
    uploads,
    runDeadlineMs,
    furtherPorts: furtherPorts(PORTS.map(({ variable }) => variable)),
  });
type Settings = ReturnType<typeof readSettings>;

async function start(): Promise<void> {
  const settings = readSettings();
  if (settings.apiProcesses === 1) return serve(settings, null);
  if (cluster.isWorker) return serve(settings, joinProcesses());
  await serveByProcesses(settings);
}

/**
 * Joins the primary as one of several processes. Signals are ignored, because Ctrl-C in a terminal reaches all
 * processes and only the primary may end them.
 */
function joinProcesses(): Member {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGUSR2']) process.on(signal, () => {});
  return createMember(Number(process.env.API_PROCESS), {
    send: (report) => void process.send?.(report, undefined, undefined, () => {}),
    onOrder: (listener) => void process.on('message', listener),
    exit: () => process.exit(0),
  });
}

async function serveByProcesses({ apiProcesses: processes, logging, watchdogMs }: Settings): Promise<void> {
  const log = createLog({ level: logging.level, name: 'api' });
  watchEventLoop('api', watchdogMs);
  const { Primary } = await import('./processes/primary.ts');
  // The API processes share the CPUs, so each gets a share of the inference children.
  const children = Math.max(1, Math.round((availableParallelism() - 1) / processes));
  const primary = new Primary({
    ...{ processes, log, killAfterMs: LAST_RESORT_MS + 1_000, exit: (code) => process.exit(code) },
    environment: process.env.INFERENCE_PROCESSES ? {} : { INFERENCE_PROCESSES: String(children) },
  });
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => primary.onSignal(signal));
  process.on('SIGUSR2', () => void primary.restartAll());
  await primary.start();
}

async function serve(settings: Settings, member: Member | null): Promise<void> {
  const log = createLog({ level: settings.logging.level, name: 'api' });
  watchEventLoop('api', settings.watchdogMs);
  const metrics = createMetrics({ app: 'api', process: member?.number });
  const exposure = await findExposure(settings);
  const places = shareConnections(settings.furtherPorts, settings.inference.processes);
  const parts = [places.connections.part];
  const bounded = {
    ...settings.inference,
    queueLimit: liveQueueLimit(settings.inference.queueLimit, places.all),
    refusalPatienceMs: refusalPatience(places.all),
  };
  const dependencies = await createDependencies({
    ...settings,
    inference: bounded,
    ...exposure,
    log,
    metrics,
    parts,
  });
  const app = member === null ? dependencies.app : answerForAll(member, dependencies.app);
  const settled = member?.flush;
  const servers = await listen(app, settings.http, places, { ...exposure, settled }).catch(async (error: unknown) => {
    await dependencies.close();
    throw error;
  });
  endInOrder(servers, dependencies, { log, drainTime: exposure.isFronted ? FRONTED : DIRECT, member });
  tellStart(log, servers, settings.http, exposure);
  member?.started();
}

interface Servers {
  readonly api: RunningServer;
  readonly metrics?: RunningServer;
  /** The servers of further ports, by name. */
  readonly further: Readonly<Record<string, RunningServer>>;
}

interface Places {
  /** The most connections to the API's port and to further ports together. */
  readonly all: number;
  /** The most connections to the API's port. */
  readonly connections: Connections;
  readonly further: readonly OpenPort[];
}

/** A further port that is configured, with the most connections to it. */
type OpenPort = ExtensionPort & Pick<PortAddress, 'port' | 'connections'>;

function shareConnections(ports: Settings['furtherPorts'], processes: number): Places {
  const all = connectionLimit(processes);
  const further = PORTS.flatMap((one, i) => {
    const port = ports[i] ?? null;
    return port === null ? [] : [{ ...one, port, connections: one.shareOf(all) }];
  });
  const most = further.reduce((rest, { connections }) => rest - connections, all);
  return { all, connections: new Connections({ most }), further };
}

/** Starts the API, and the separate ports of metrics and of extensions if they are configured. */
async function listen(
  app: AppDependencies,
  { host, port, metricsPort }: HttpSection,
  { connections, further }: Places,
  { isMetricsHost, settled }: Exposure & { readonly settled: Member['flush'] | undefined },
): Promise<Servers> {
  const { fetch, describe } = createApp(app);
  // Called before the first request, which would otherwise wait until the document is built.
  describe();
  const onFault = (error: unknown, path: string) => app.log.error('request.failed', { path, error });
  const direct = readOneDirectly(app);
  const api = await startServer({ fetch, direct, onFault, host, port, connections, settled });
  let servers: Servers = { api, further: {} };
  try {
    if (metricsPort !== null) {
      const { fetch } = mount([showMetrics(app)], { ...app, isOurHost: isMetricsHost });
      const few = new Connections({ most: MOST_SCRAPING });
      const metrics = await startServer({ fetch, onFault, host, port: metricsPort, connections: few, settled });
      servers = { ...servers, metrics };
    }
    for (const one of further) {
      const { name, port, connections } = one;
      const server = await startPort(one, app, { host, port, connections });
      servers = { ...servers, further: { ...servers.further, [name]: server } };
    }
    return servers;
  } catch (error) {
    await Promise.all(allOf(servers).map((server) => server.close(0)));
    throw error;
  }
}

function allOf({ api, metrics, further }: Servers): readonly RunningServer[] {
  return [api, ...(metrics ? [metrics] : []), ...Object.values(further)];
}

function tellStart(
  log: Log,
  { api, metrics, further }: Servers,
  { metricsPort }: HttpSection,
  { isLocal, keys, servesMetrics }: Exposure,
): void {
  if (metricsPort === null && !servesMetrics) {
    log.warn('metrics.not_served', { why: 'other machines can reach the API', remedy: 'set METRICS_PORT' });
  }
  if (keys === null && !isLocal) {
    log.warn('keys.off', {
      why: 'API_KEYS=off: every client that reaches the API has full access',
      remedy: 'unset API_KEYS',
    });
  }
  log.info('api.started', {
    url: api.url,
    metrics: metrics?.url ?? (servesMetrics ? api.url : null),
    ...Object.fromEntries(Object.entries(further).map(([name, { url }]) => [name, url])),
    keys: keys === null ? 'off' : 'required',
  });
}

interface EndOptions {
  readonly log: Log;
  readonly drainTime: DrainTime;
  readonly member: Member | null;
}

function endInOrder(running: Servers, dependencies: ApiDependencies, { log, drainTime, member }: EndOptions): void {
  const servers = allOf(running);
  let time = drainTime;
  const { onSignal, onFault } = createEnding({
    log,
    async drain(cause) {
      // If one of several processes ends, the others keep the port.
      const isPortServed = member !== null && (cause === 'fault' || time === AT_ONCE);
      if (!isPortServed) dependencies.app.readiness.drain();
      if (cause === 'signal') await Promise.all(servers.map((server) => server.listenOn(time)));
      // The watches do not end earlier: a client that watches a run reconnects at once, and should then reach another
      // API.
      dependencies.app.runWatcher.close();
      const finished = await Promise.all(servers.map((server) => server.close(GRACE_MS)));
      await dependencies.close();
      return finished.every(Boolean);
    },
    exit: (code) => process.exit(code),
    lastResortMs: LAST_RESORT_MS,
  });
  member?.onLeave((cause, reason) => {
    if (cause === 'restart') time = AT_ONCE;
    onSignal(reason);
  });
  if (member === null) {
    for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, onSignal);
    // Node's default action ends the process without draining it.
    const why = 'SIGUSR2 restarts several processes one after the other, and this API has only one';
    process.on('SIGUSR2', () => log.warn('api.not_restarted', { why, remedy: 'set API_PROCESSES to 2 or more' }));
  }
  process.on('uncaughtException', onFault);
  process.on('unhandledRejection', onFault);
}

start().catch((error: unknown) => {
  for (const line of describeStartFailure(error)) process.stderr.write(`${line}\n`);
  process.exit(1);
});
