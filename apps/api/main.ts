/**
 * Starts the API: the only file that touches the process. On SIGTERM or SIGINT it says that it is not ready, takes no
 * more connections, finishes what is under way, ends streams, then closes what it opened, in reverse.
 */
import { readEnvironment } from '@tandem/config/environment';
import { database, http, inference, log as logging, redis } from '@tandem/config/environment-sections';
import { createLog, type Log } from '@tandem/telemetry/log';
import { createMetrics } from '@tandem/telemetry/metrics';
import { createApp, mount } from './app.ts';
import { type ApiDependencies, createDependencies } from './dependencies.ts';
import { showMetrics } from './routes/metrics/show.ts';
import { type RunningServer, startServer } from './server.ts';

/** How long requests under way may take at the end. */
const GRACE_MS = 10_000;
const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/;

async function start(): Promise<void> {
  const settings = readEnvironment(process.env, { database, redis, http, inference, logging });
  const log = createLog({ level: settings.logging.level, name: 'api' });
  const metrics = createMetrics({ app: 'api' });
  const { host, port, metricsPort } = settings.http;
  const servesMetrics = metricsPort === null && LOOPBACK.test(host);
  const dependencies = await createDependencies({ ...settings, log, metrics, servesMetrics });
  const servers: RunningServer[] = [];
  try {
    servers.push(await startServer({ fetch: createApp(dependencies.app).fetch, host, port }));
    if (metricsPort !== null) {
      const { fetch } = mount([showMetrics(dependencies.app)], dependencies.app);
      servers.push(await startServer({ fetch, host, port: metricsPort }));
    }
  } catch (error) {
    await Promise.all(servers.map((server) => server.close(0)));
    await dependencies.close();
    throw error;
  }
  stopOnSignal(servers, dependencies, log);
  if (metricsPort === null && !servesMetrics) {
    log.warn('metrics.not_served', { why: 'the API is not on loopback', remedy: 'set METRICS_PORT' });
  }
  log.info('api.started', {
    url: servers[0]?.url,
    metrics: servers[1]?.url ?? (servesMetrics ? servers[0]?.url : null),
  });
}

function stopOnSignal(servers: readonly RunningServer[], dependencies: ApiDependencies, log: Log): void {
  let isStopping = false;
  const stop = async (signal: NodeJS.Signals) => {
    // A second signal is somebody who does not want to wait.
    if (isStopping) process.exit(1);
    isStopping = true;
    log.info('api.stopping', { signal });
    dependencies.app.readiness.drain();
    dependencies.app.runWatcher.close();
    const finished = await Promise.all(servers.map((server) => server.close(GRACE_MS)));
    await dependencies.close();
    log.info('api.stopped', { inTime: finished.every(Boolean) });
    process.exit(0);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

start().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
