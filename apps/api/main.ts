/**
 * Starts the API: the only file that touches the process. On SIGTERM or SIGINT, or a fault that nobody caught, it says
 * that it is not ready, takes no more connections, finishes what is under way, ends streams, then closes what it opened,
 * in reverse. Exit code 0 after a signal, 1 where it could not start, met a fault, or hung.
 */
import { lookup } from 'node:dns/promises';
import { readEnvironment } from '@tandem/config/environment';
import { database, http, inference, log as logging, redis } from '@tandem/config/environment-sections';
import { createLog, type Log } from '@tandem/telemetry/log';
import { createMetrics } from '@tandem/telemetry/metrics';
import { answerCache } from './answer-cache-section.ts';
import { createApp, mount } from './app.ts';
import { type ApiDependencies, createDependencies } from './dependencies.ts';
import { createEnding } from './end-in-order.ts';
import { createHostRule, isLoopback } from './http/foreign-request.ts';
import { showMetrics } from './routes/metrics/show.ts';
import { readOneDirectly } from './routes/predictions/read-one-directly.ts';
import { type RunningServer, startServer } from './server.ts';
import { describeStartFailure } from './start-failure.ts';

/** How long requests under way may take at the end. */
const GRACE_MS = 10_000;
/** Longer than the grace and what closing takes; less than the 30 s after which orchestrators kill. */
const LAST_RESORT_MS = 20_000;

async function start(): Promise<void> {
  const settings = readEnvironment(process.env, { database, redis, http, inference, logging, answerCache });
  const log = createLog({ level: settings.logging.level, name: 'api' });
  const metrics = createMetrics({ app: 'api' });
  const { host, port, metricsPort } = settings.http;
  const isOnLoopback = await resolvesToLoopback(host);
  const servesMetrics = metricsPort === null && isOnLoopback;
  const isOurHost = createHostRule(host, isOnLoopback);
  const dependencies = await createDependencies({ ...settings, log, metrics, servesMetrics, isOurHost });
  const servers: RunningServer[] = [];
  try {
    const { fetch } = createApp(dependencies.app);
    servers.push(await startServer({ fetch, direct: readOneDirectly(dependencies.app), host, port }));
    if (metricsPort !== null) {
      const { fetch } = mount([showMetrics(dependencies.app)], dependencies.app);
      servers.push(await startServer({ fetch, host, port: metricsPort }));
    }
  } catch (error) {
    await Promise.all(servers.map((server) => server.close(0)));
    await dependencies.close();
    throw error;
  }
  endInOrder(servers, dependencies, log);
  if (metricsPort === null && !servesMetrics) {
    log.warn('metrics.not_served', { why: 'the API is not on loopback', remedy: 'set METRICS_PORT' });
  }
  log.info('api.started', {
    url: servers[0]?.url,
    metrics: servers[1]?.url ?? (servesMetrics ? servers[0]?.url : null),
  });
}

/** As the server will resolve it; a name that cannot be resolved cannot be listened on either. */
async function resolvesToLoopback(host: string): Promise<boolean> {
  const found = await lookup(host).catch(() => null);
  return isLoopback(found?.address ?? host);
}

function endInOrder(servers: readonly RunningServer[], dependencies: ApiDependencies, log: Log): void {
  const { onSignal, onFault } = createEnding({
    log,
    async drain() {
      dependencies.app.readiness.drain();
      dependencies.app.runWatcher.close();
      const finished = await Promise.all(servers.map((server) => server.close(GRACE_MS)));
      await dependencies.close();
      return finished.every(Boolean);
    },
    exit: (code) => process.exit(code),
    lastResortMs: LAST_RESORT_MS,
  });
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('uncaughtException', onFault);
  process.on('unhandledRejection', onFault);
}

start().catch((error: unknown) => {
  for (const line of describeStartFailure(error)) process.stderr.write(`${line}\n`);
  process.exit(1);
});
