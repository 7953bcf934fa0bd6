/**
 * The worker process: reads the environment, starts a worker, and ends it on SIGTERM or SIGINT. The exit code is 0
 * after an orderly end, and 1 if the worker could not start or must be restarted. A watchdog kills the process if it
 * hangs.
 */

import { readEnvironment } from '@tandem/config/environment/environment';
import {
  artifacts,
  batchInference,
  database,
  hostNames,
  log as logSection,
  redis,
  watchdogMs,
  worker as workerSection,
} from '@tandem/config/environment/environment-sections';
import { isTandemError } from '@tandem/freshness/errors';
import { createLog, type Log } from '@tandem/telemetry/log';
import { watchEventLoop } from '@tandem/telemetry/watch-event-loop';
import { createDependencies } from './dependencies.ts';
import { startHealthServer } from './health-server.ts';
import { startWorker } from './worker.ts';
import { workerProcess } from './worker-section.ts';

/**
 * Milliseconds for jobs in progress at the end. Orchestrators kill a process after 30 s, and its jobs get most of that
 * time.
 */
const DRAIN_MS = 25_000;
const LAST_RESORT_MS = 28_000;

const sections = {
  database,
  artifacts,
  redis,
  inference: batchInference,
  worker: workerSection,
  workerProcess,
  hostNames,
  watchdogMs,
  log: logSection,
};

async function main(log: Log): Promise<void> {
  const environment = readEnvironment(process.env, sections);
  watchEventLoop('worker', environment.watchdogMs);
  const dependencies = await createDependencies(environment, log);
  let whyDead: string | null = null;
  let stopping = false;

  const { hostNames, workerProcess } = environment;
  const { host, port } = workerProcess;
  const { metrics } = dependencies;
  const onFault = (error: unknown, path: string) => log.error('request.failed', { path, error });
  const health = { host, hostNames, metrics, whyDead: () => whyDead, onFault };
  const server = port === null ? null : await startHealthServer({ ...health, port });
  if (server) log.info('worker.listening', { host, port: server.port });

  async function stop(reason: string, code: number): Promise<void> {
    if (stopping) return;
    stopping = true;
    // The timer ends a process that hangs. It is not awaited, because it must not keep an idle process alive.
    setTimeout(() => process.exit(1), LAST_RESORT_MS).unref();
    const drained = await worker.stop(DRAIN_MS);
    await server?.close();
    await dependencies.close();
    log.info('worker.stopped', { reason, drained });
    process.exit(code);
  }

  const worker = startWorker(dependencies, {
    queueUrl: environment.redis.queueUrl,
    chunkConcurrency: environment.worker.chunkConcurrency,
    idleMs: environment.watchdogMs,
    onDead(why) {
      whyDead = why;
      void stop(why, 1);
    },
  });
  process.on('SIGTERM', () => void stop('SIGTERM', 0));
  process.on('SIGINT', () => void stop('SIGINT', 0));
}

const log = openLog();

/**
 * Opens the log. With an invalid level, the log has the default level until `main` reports all errors of the
 * environment.
 */
function openLog(): Log {
  try {
    return createLog({ name: 'worker', ...readEnvironment(process.env, { log: logSection }).log });
  } catch {
    return createLog({ name: 'worker', level: 'info' });
  }
}

function fail(error: unknown): never {
  // An error that the operator can fix is logged without a stack.
  if (isTandemError(error, 'config_invalid')) {
    log.error('worker.refused', { problem: error.message, field: error.field, remedy: error.remedy });
  } else log.error('worker.failed', { error });
  process.exit(1);
}

process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);
await main(log).catch(fail);
