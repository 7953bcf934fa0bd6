/**
 * The consumer's side of the queues: takes jobs, checks their payloads, passes them to handlers, writes one event for
 * each job, and watches itself. It continues after Redis was unavailable, restarted or flushed. If it cannot continue,
 * it reports that it is dead.
 */

import { ERROR_KINDS } from '@tandem/freshness/error-codes';
import { isTandemError } from '@tandem/freshness/errors';
import type { Log, LogFields } from '@tandem/telemetry/log';
import { startWideEvent, type WideEvent } from '@tandem/telemetry/wide-event';
import { within } from '@tandem/timing/within';
import { type Job, UnrecoverableError, Worker } from 'bullmq';
import { definitionOf, isJobName, type JobClass, type JobName, type JobPayload, jobClasses } from './catalog.ts';
import { connectWorker, DEFAULT_PREFIX, type Queue } from './enqueue.ts';
import { createWatchdog, type Watchdog } from './stalled-worker.ts';

/** The context of a job that its handler gets in addition to the payload. */
interface JobContext {
  /** Reports to the watchdog that a long job makes progress. */
  progress(): void;
}

/**
 * Performs a job. Its result is added to the job's event. The error that it throws decides whether the job is retried
 * (`MAY_PASS`).
 */
export type Handler<N extends JobName> = (payload: JobPayload<N>, job: JobContext) => Promise<LogFields>;
export type Handlers = { readonly [N in JobName]: Handler<N> };

interface EndedJob {
  /** The job's name in the catalog; `unknown` if the catalog has no such job. */
  readonly job: JobName | 'unknown';
  readonly state: 'completed' | 'retrying' | 'failed';
  readonly seconds: number;
  /** The time in the queue beyond the requested delay. */
  readonly waitedSeconds: number;
}

interface QueueWorkerOptions {
  readonly url: string;
  /** The queue, in which the watchdog counts waiting jobs. */
  readonly queue: Pick<Queue, 'counts'>;
  readonly handlers: Handlers;
  /** The number of concurrent jobs of each class in this process. */
  readonly concurrency: Readonly<Record<JobClass, number>>;
  readonly log: Log;
  /** Called after each job, for metrics. */
  onJob?(job: EndedJob): void;
  /**
   * Called once, when the watchdog finds that the worker is dead. The callback must end the process so that it is
   * restarted.
   */
  onDead(why: string): void;
  readonly prefix?: string;
  /** Milliseconds after which the worker counts as dead if work waits and it takes no job. */
  readonly idleMs?: number;
}

export type QueueWorker = ReturnType<typeof createQueueWorker>;

/**
 * The lock time of a job. A worker that is disconnected for a shorter time keeps its jobs, so a shorter outage of Redis
 * is harmless.
 */
const LOCK_MS = 60_000;
const STALLED_CHECK_MS = 15_000;
/**
 * The number of lost workers after which BullMQ fails a job. The attempts of chunks are counted in Postgres instead.
 */
const MAX_STALLED = 10;
/** The time limit for closing the connections of a worker without jobs, since a hanging connection never closes. */
const CLOSE_MS = 2_000;

/**
 * Milliseconds without progress after which a job counts as stuck. It is longer than the interval in which a job
 * reports progress: chunks and loads report every few minutes, plans and publications with each renewal of their lease.
 * Plans and publications also have their own time limits.
 */
const STUCK_MS = 900_000;

export function createQueueWorker(options: QueueWorkerOptions) {
  const { url, concurrency, log, prefix = DEFAULT_PREFIX, idleMs = 60_000 } = options;
  const redis = connectWorker(url);
  // Connection errors are logged by the transitions below, once each, instead of at every attempt.
  redis.on('error', () => undefined);
  tellTransitions(redis, log);
  const running: Record<JobClass, number> = { planning: 0, publishing: 0, scoring: 0, loading: 0 };
  const watchdog = createWatchdog({ idleMs, stuckMs: STUCK_MS });

  const workers = jobClasses.map((jobClass) => {
    const worker = new Worker(jobClass, (job) => track(jobClass, job), {
      connection: redis,
      prefix,
      concurrency: concurrency[jobClass],
      lockDuration: LOCK_MS,
      stalledInterval: STALLED_CHECK_MS,
      maxStalledCount: MAX_STALLED,
    });
    worker.on('error', (error) => log.debug('queue.worker_error', { jobClass, error }));
    worker.on('stalled', (jobId) => log.warn('job.stalled', { jobClass, jobId }));
    return worker;
  });

  async function track(jobClass: JobClass, job: Job): Promise<void> {
    const progress = () => watchdog.progressed(jobClass, performance.now());
    running[jobClass]++;
    watchdog.taken(jobClass, performance.now());
    try {
      await runJob(options, job, { progress });
    } finally {
      running[jobClass]--;
      progress();
    }
  }

  const isHeld = () => workers.some((worker) => worker.isPaused());
  const watching = watch({ ...options, idleMs, isHeld }, watchdog, running);
  const underWay = () => Object.values(running).reduce((sum, jobs) => sum + jobs, 0);
  return {
    /** Returns the number of jobs in progress in this process. */
    running: underWay,
    /** Stops taking jobs until it is called with false. Jobs in progress end as usual. */
    hold(isToBeHeld: boolean): void {
      if (isToBeHeld === isHeld()) return;
      for (const worker of workers) {
        if (isToBeHeld) void worker.pause(true);
        else void worker.resume();
      }
    },
    /** Stops taking jobs and waits for those in progress. Resolves to false if they did not end in time. */
    async close(drainMs: number): Promise<boolean> {
      clearInterval(watching);
      const closed = Promise.allSettled(workers.map((worker) => worker.close()));
      const inOrder =
        (await settledWithin(Math.min(CLOSE_MS, drainMs), closed)) ||
        (drainMs > CLOSE_MS && underWay() > 0 && (await settledWithin(drainMs - CLOSE_MS, closed)));
      // Other workers take the remaining jobs when their locks and leases have expired.
      if (!inOrder) await settledWithin(1_000, Promise.allSettled(workers.map((worker) => worker.close(true))));
      redis.disconnect();
      return inOrder || underWay() === 0;
    },
  };
}

async function runJob({ handlers, log, onJob }: QueueWorkerOptions, job: Job, context: JobContext): Promise<void> {
  const { name, id, attemptsMade, processedOn = job.timestamp } = job;
  const event = startWideEvent('job.ended', { job: name, jobId: id, attempt: attemptsMade + 1 }, { log });
  const waitedMs = Math.max(0, processedOn - job.timestamp - (job.opts.delay ?? 0));
  event.add({ waitedMs });
  const end = (state: EndedJob['state'], outcome?: Parameters<WideEvent['end']>[0]) => {
    event.add({ state });
    const seconds = event.end(outcome) / 1000;
    onJob?.({ job: isJobName(name) ? name : 'unknown', state, seconds, waitedSeconds: waitedMs / 1000 });
  };
  try {
    if (!isJobName(name)) throw new UnrecoverableError(`the catalog has no job ${name}`);
    event.add(await handle(handlers, name, job.data, context, (fields) => event.add(fields)));
    end('completed');
  } catch (error) {
    const thrown = retryOrFail(error);
    const isLast = thrown instanceof UnrecoverableError || attemptsMade + 1 >= (job.opts.attempts ?? 1);
    end(isLast ? 'failed' : 'retrying', { error, level: isLast ? 'error' : 'warn' });
    throw thrown;
  }
}

async function handle<N extends JobName>(
  handlers: Handlers,
  name: N,
  data: unknown,
  context: JobContext,
  add: (fields: LogFields) => void,
): Promise<LogFields> {
  const parsed = definitionOf(name).payload.safeParse(data);
  if (!parsed.success) throw new UnrecoverableError(`the payload does not match job ${name}: ${parsed.error.message}`);
  add(parsed.data as LogFields);
  return handlers[name](parsed.data, context);
}

function watch(
  options: QueueWorkerOptions & { readonly idleMs: number; isHeld(): boolean },
  watchdog: Watchdog,
  running: Readonly<Record<JobClass, number>>,
): NodeJS.Timeout {
  const { queue, concurrency, log, onDead, idleMs, isHeld } = options;
  let isDead = false;
  const look = async () => {
    // While the worker is on hold, waiting jobs prove nothing.
    const counts = isHeld() ? null : await queue.counts().catch(() => null);
    for (const jobClass of jobClasses) {
      const waiting = counts?.[jobClass].waiting ?? null;
      const sighting = { waiting, running: running[jobClass], concurrency: concurrency[jobClass] };
      const why = watchdog.look(jobClass, sighting, performance.now());
      if (why === null || isDead) continue;
      isDead = true;
      log.error('worker.dead', { why });
      onDead(why);
    }
  };
  return setInterval(() => void look(), Math.max(100, idleMs / 6));
}

function tellTransitions(redis: ReturnType<typeof connectWorker>, log: Log): void {
  let isAway = false;
  redis.on('close', () => {
    if (!isAway) log.warn('queue.redis_away');
    isAway = true;
  });
  redis.on('ready', () => {
    if (isAway) log.info('queue.redis_back');
    isAway = false;
  });
}

async function settledWithin(ms: number, work: Promise<unknown>): Promise<boolean> {
  const late = new Error(`not settled within ${ms} ms`);
  try {
    await within(ms, work, () => late);
    return true;
  } catch (error) {
    if (error === late) return false;
    throw error;
  }
}

// Converts the error of a job for BullMQ: retry later, or fail at once.

/** Returns the error to throw out of a job. A permanent error is wrapped so that BullMQ does not retry it. */
function retryOrFail(error: unknown): unknown {
  if (!isTandemError(error) || ERROR_KINDS[error.code].mayPass) return error;
  return new UnrecoverableError(`${error.code}: ${error.message}`);
}
