/** The workers of `tandem worker`: processes on this machine that share the log output of this command. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Cli } from '@tandem/commands/command';
import { findDatabaseUrls, findRedisUrl, withPool } from '@tandem/commands/environment';
import { readEnvironment } from '@tandem/config/environment/environment';
import { runDeadlineMs } from '@tandem/config/environment/environment-sections';
import { latestSlot, nextSlot } from '@tandem/config/predictor/schedule';
import { waitForExit } from '@tandem/local-servers/server-process';
import { createGenerationStore } from '@tandem/offline-store/generations/generations';
import { createScheduleStore } from '@tandem/offline-store/runs/schedules';
import { createWorkStore } from '@tandem/offline-store/runs/work-signal';
import { OnlineGenerationLoader } from '@tandem/online-store/generation-loader';
import { createOnlineConnection } from '@tandem/online-store/online-connection';
import { createScaler, type ScaleLimits, workersNeeded } from '@tandem/prediction/runs/desired-workers';
import { findWaitingWork } from '@tandem/prediction/runs/waiting-work';
import { sleepFor } from '@tandem/transport/retry';
import { killGroup } from '../up/node-process.ts';
import { autoscale, type WorkerProcess } from './autoscale.ts';

const WORKER = fileURLToPath(new URL('../../worker/main.ts', import.meta.url));

export async function runWorkers(cli: Cli, limits: ScaleLimits): Promise<void> {
  const deadlineMs = readEnvironment(cli.env, { runDeadlineMs }).runDeadlineMs;
  const environment = workerEnvironment(cli);
  const living = new Set<WorkerProcess>();
  const connection = createOnlineConnection({ url: findRedisUrl(cli), log: () => {} });
  const takeBack = cli.whenForced(() => {
    for (const { pid } of living) killGroup(pid);
  });
  try {
    await withPool(cli, { applicationName: 'tandem-autoscale', max: 1 }, async (pool) => {
      const dependencies = {
        work: createWorkStore(pool),
        schedules: createScheduleStore(pool),
        generations: createGenerationStore(pool),
        loader: new OnlineGenerationLoader({ connection }),
        ...{ latestSlot, nextSlot, deadlineMs },
      };
      await autoscale({
        look: async () => workersNeeded(await findWaitingWork(dependencies)),
        scale: createScaler(limits),
        start: (place) => startWorker(environment(place), living),
        say: (line) => void cli.stderr.write(`${line}\n`),
        now: () => performance.now(),
        pause: (ms, signal) => sleepFor(ms, signal).catch(() => undefined),
        signal: cli.signal,
      });
    });
  } finally {
    takeBack();
    connection.close();
  }
}

/**
 * Returns the environment of each worker. Servers that this environment does not name are found as other commands find
 * them, for example those of a `tandem up` in this folder.
 */
function workerEnvironment(cli: Cli): (place: number) => NodeJS.ProcessEnv {
  const { env } = cli;
  const hasDatabase = env.DATABASE_URL || env.DATABASE_URL_FILE;
  const hasRedis = env.REDIS_URL || env.REDIS_URL_FILE;
  const found = {
    ...(hasDatabase ? {} : { DATABASE_URL: findDatabaseUrls(cli).url }),
    ...(hasRedis ? {} : { REDIS_URL: findRedisUrl(cli) }),
  };
  const port = Number(env.WORKER_PORT);
  return (place) => ({ ...env, ...found, ...(port > 0 ? { WORKER_PORT: String(port + place) } : {}) });
}

/**
 * Starts a worker in a separate process group. Ctrl-C then signals only this command, which ends the workers in order.
 */
function startWorker(env: NodeJS.ProcessEnv, living: Set<WorkerProcess>): WorkerProcess {
  const child = spawn(process.execPath, [WORKER], { env, detached: true, stdio: ['ignore', 'inherit', 'inherit'] });
  const exited = waitForExit(child);
  const worker = { pid: child.pid ?? -1, exited, end: () => void child.kill('SIGTERM') };
  living.add(worker);
  void exited.then(() => living.delete(worker));
  return worker;
}
