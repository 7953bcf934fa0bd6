/**
 * A worker: it runs jobs from the queues, and the loops that reconcile the queues with Postgres. It depends neither on
 * its process nor on how its dependencies were built.
 */
import type { LossNotice } from '@tandem/prediction/events/notice-loss';
import type { GenerationLoader } from '@tandem/prediction/runs/online-generations';
import { createRunChunk, type RunChunkDependencies } from '@tandem/prediction/runs/run-chunk';
import type { GenerationStore, RunHints, RunStore } from '@tandem/prediction/runs/run-store';
import type { JobName } from '@tandem/queue/catalog';
import type { Queue } from '@tandem/queue/enqueue';
import { createQueueWorker, type Handler, type Handlers } from '@tandem/queue/run-worker';
import type { Metrics } from '@tandem/telemetry/metrics';
import { repeat } from '@tandem/timing/repeat';
import { type HousekeepingDependencies, startHousekeeping } from './housekeeping.ts';
import { type CheckFit, createLoadGeneration } from './processors/load-generation.ts';
import { createPlanRun } from './processors/plan-run.ts';
import { createPublishRun } from './processors/publish-run.ts';
import { createRunChunkProcessor } from './processors/run-chunk.ts';

interface WorkerDependencies extends HousekeepingDependencies {
  readonly runs: RunStore;
  readonly generations: GenerationStore;
  readonly loader: GenerationLoader;
  readonly hints: RunHints;
  readonly losses: Pick<LossNotice, 'prove'>;
  readonly checkFit: CheckFit;
  readonly chunks: RunChunkDependencies;
  readonly queue: Queue;
  /** How many plans run at once, and how many publications. */
  readonly steps: number;
  readonly metrics: Metrics;
}

interface WorkerOptions {
  readonly queueUrl: string;
  /** The number of chunks in progress at once: one chunk is read while another is scored and written. */
  readonly chunkConcurrency: number;
  /** Milliseconds after which the worker counts as dead if jobs wait and it takes none. */
  readonly idleMs: number;
  /** Called once when the worker counts as dead. The callback ends the process so that it is restarted. */
  onDead(why: string): void;
}

/** Milliseconds between checks of whether this worker may take jobs. */
const HOLD_EVERY_MS = 1_000;

export function startWorker(dependencies: WorkerDependencies, options: WorkerOptions) {
  const { queue, steps, log, metrics } = dependencies;
  const { queueUrl, chunkConcurrency, idleMs, onDead } = options;
  const stopping = new AbortController();
  const jobs = createQueueWorker({
    url: queueUrl,
    queue,
    handlers: createHandlers(dependencies, stopping.signal),
    concurrency: { planning: steps, publishing: steps, scoring: chunkConcurrency, loading: 1 },
    log,
    onJob({ job, state, seconds, waitedSeconds }) {
      metrics.jobDuration.observe({ job, state }, seconds);
      metrics.jobWait.observe({ job }, waitedSeconds);
    },
    idleMs,
    onDead,
  });
  const housekeeping = startHousekeeping(dependencies);
  // Jobs that this release may not run are left to other workers.
  const holding = repeat(HOLD_EVERY_MS, async () => jobs.hold((await dependencies.whyIdle()) !== null));
  log.info('worker.started', { chunkConcurrency });
  return {
    /** Takes no more jobs and waits for those in progress. Returns false if some did not end in time. */
    async stop(drainMs: number) {
      log.info('worker.stopping', { jobs: jobs.running() });
      stopping.abort(new Error('the worker was stopped'));
      const [drained] = await Promise.all([jobs.close(drainMs), housekeeping.stop(), holding.stop()]);
      return drained;
    },
  };
}

function createHandlers(dependencies: WorkerDependencies, stopping: AbortSignal): Handlers {
  const { runs, generations, loader, hints, losses, checkFit, chunks, log, metrics } = dependencies;
  const { lease } = chunks;
  const allowed = <N extends JobName>(handler: Handler<N>): Handler<N> => unlessIdle(handler, dependencies);
  return {
    'plan-run': allowed(createPlanRun({ runs, hints, lease, stopping, log, metrics })),
    'run-chunk': allowed(
      createRunChunkProcessor({ runChunk: createRunChunk({ ...chunks, stopping }), runs, log, metrics }),
    ),
    'publish-run': allowed(createPublishRun({ runs, hints, loader, losses, lease, stopping, checkFit, log, metrics })),
    'load-generation': allowed(createLoadGeneration({ generations, loader, checkFit })),
  };
}

/** Wraps a handler: a job that may not begin now waits for its next attempt. */
function unlessIdle<N extends JobName>(handler: Handler<N>, { whyIdle }: WorkerDependencies): Handler<N> {
  return async (payload, job) => {
    const why = await whyIdle();
    if (why) throw why;
    return handler(payload, job);
  };
}
