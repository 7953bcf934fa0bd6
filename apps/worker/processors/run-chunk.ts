/** Job `run-chunk`: one attempt at a chunk. After a failure, the chunk is enqueued again with its next fence. */
import { unreachable } from '@tandem/freshness/errors';
import type { ChunkReport, RunChunk } from '@tandem/prediction/runs/run-chunk';
import type { RunStore } from '@tandem/prediction/runs/run-store';
import { isFinished } from '@tandem/prediction/runs/runs';
import type { Handler } from '@tandem/queue/run-worker';
import type { Metrics } from '@tandem/telemetry/metrics';
import { logRunEnded, type RunLogging } from './log-run-step.ts';

type ChunkMetrics = Pick<
  Metrics,
  'chunks' | 'chunksAbandoned' | 'chunkTakeovers' | 'chunkDuration' | 'usersScored' | 'usersHandedBack'
>;

interface RunChunkProcessorDependencies extends RunLogging {
  readonly runChunk: RunChunk;
  readonly runs: Pick<RunStore, 'find'>;
  readonly metrics: RunLogging['metrics'] & ChunkMetrics;
}

export function createRunChunkProcessor(dependencies: RunChunkProcessorDependencies): Handler<'run-chunk'> {
  const { runChunk, runs, log, metrics } = dependencies;
  return async ({ runId, no }, job) => {
    const report = await runChunk(runId, no, job.progress);
    count(report, metrics);
    if (report.outcome === 'given_back') log.warn('chunk.given_back', { runId, no, error: report.error });
    if (report.outcome === 'committed' && report.loadError !== null) {
      log.warn('chunk.not_loaded', { runId, no, error: report.loadError });
    }
    if (report.outcome === 'failed') {
      log.error('chunk.failed', { runId, no, error: report.error });
      // If this was the last open chunk, its failure has ended the run.
      const run = await runs.find(runId);
      if (run && isFinished(run.state)) logRunEnded(run, dependencies);
    }
    return { ...report };
  };
}

function count(report: ChunkReport, metrics: ChunkMetrics): void {
  if (report.outcome === 'nothing_to_do') return;
  if (report.takenOver) metrics.chunkTakeovers.inc({ predictor: report.predictor });
  switch (report.outcome) {
    case 'committed': {
      const { predictor, usersScored, usersFailed, usersHandedBack, readMs, scoreMs, commitMs } = report;
      metrics.chunks.inc({ predictor, state: 'committed' });
      metrics.chunkDuration.observe({ predictor }, (readMs + scoreMs + commitMs) / 1000);
      metrics.usersScored.inc({ predictor, outcome: 'scored' }, usersScored);
      metrics.usersScored.inc({ predictor, outcome: 'failed' }, usersFailed);
      metrics.usersHandedBack.inc({ predictor }, usersHandedBack);
      return;
    }
    case 'abandoned':
      metrics.chunks.inc({ predictor: report.predictor, state: 'abandoned' });
      metrics.chunksAbandoned.inc({ predictor: report.predictor, why: report.why });
      return;
    case 'stopped':
    case 'given_back':
    case 'failed':
      metrics.chunks.inc({ predictor: report.predictor, state: report.outcome });
      return;
    default:
      unreachable(report);
  }
}
