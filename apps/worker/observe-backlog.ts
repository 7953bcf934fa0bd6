/** Measures the waiting work in Postgres and in the queues, and sets its gauges. */
import type { Backlog } from '@tandem/offline-store/runs/backlog';
import type { Queue } from '@tandem/queue/enqueue';
import type { Metrics } from '@tandem/telemetry/metrics';

interface ObserveBacklogDependencies {
  findBacklog(): Promise<Backlog>;
  readonly queue: Pick<Queue, 'counts'>;
  readonly metrics: Metrics;
}

/**
 * Creates the measurement. It rejects if Postgres or the queue's Redis does not answer; the gauges of that store then
 * keep their values.
 */
export function createObserveBacklog({ findBacklog, queue, metrics }: ObserveBacklogDependencies): () => Promise<void> {
  return async () => {
    const looks = await Promise.allSettled([
      findBacklog().then((backlog) => setBacklog(backlog, metrics)),
      queue.counts().then((counts) => setQueues(counts, metrics)),
    ]);
    const failed = looks.find((look) => look.status === 'rejected');
    if (failed) throw failed.reason;
  };
}

function setBacklog(backlog: Backlog, metrics: Metrics): void {
  const { outbox, runs, generations, preparing, overdue, missingWatches, faultedWatches, overdueRows } = backlog;
  metrics.outboxEntries.set(outbox.entries);
  metrics.outboxAge.set(outbox.oldestSeconds);
  // A predictor without a value must not keep its last value.
  const { runsUnfinished, runAge, runChunks, generationAge, rolloutPreparing, rolloutOverdue } = metrics;
  const { watchesMissing, watchesFaulted } = metrics;
  const progress = [runsUnfinished, runAge, runChunks, generationAge];
  for (const gauge of [...progress, rolloutPreparing, rolloutOverdue, watchesMissing, watchesFaulted]) gauge.reset();
  const oldest = new Map<string, number>();
  for (const { predictor, state, runs: count, oldestSeconds, ...chunks } of runs) {
    runsUnfinished.set({ predictor, state }, count);
    runChunks.inc({ predictor, state: 'open' }, chunks.chunksOpen);
    runChunks.inc({ predictor, state: 'committed' }, chunks.chunksCommitted);
    runChunks.inc({ predictor, state: 'failed' }, chunks.chunksFailed);
    oldest.set(predictor, Math.max(oldest.get(predictor) ?? 0, oldestSeconds));
  }
  for (const [predictor, seconds] of oldest) runAge.set({ predictor }, seconds);
  for (const { predictor, ageSeconds } of generations) generationAge.set({ predictor }, ageSeconds);
  for (const one of preparing) rolloutPreparing.set({ predictor: one.predictor }, one.seconds);
  for (const { predictor, state, seconds } of overdue) rolloutOverdue.set({ predictor, state }, seconds);
  for (const { table, seconds } of overdueRows) metrics.rowsOverdue.set({ table }, seconds);
  for (const { predictor, tables } of missingWatches) watchesMissing.set({ predictor }, tables);
  for (const { predictor, reason, watches } of faultedWatches) watchesFaulted.set({ predictor, reason }, watches);
}

function setQueues(counts: Awaited<ReturnType<Queue['counts']>>, metrics: Metrics): void {
  for (const [jobClass, { waiting, active, delayed, failed }] of Object.entries(counts)) {
    for (const [state, jobs] of Object.entries({ waiting, active, delayed, failed })) {
      metrics.queueJobs.set({ class: jobClass, state }, jobs);
    }
  }
}
