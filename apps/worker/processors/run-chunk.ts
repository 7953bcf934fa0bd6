/** Job `run-chunk`: one attempt at a chunk. An attempt that failed is hinted at anew by its next fence, not repeated. */
import { unreachable } from '@tandem/prediction/errors';
import type { ChunkReport, RunChunk } from '@tandem/prediction/run-chunk';
import type { Handler } from '@tandem/queue/run-worker';
import type { Log } from '@tandem/telemetry/log';
import type { Metrics } from '@tandem/telemetry/metrics';

export interface RunChunkProcessorDependencies {
  readonly runChunk: RunChunk;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'chunks' | 'chunkDuration' | 'usersScored'>;
}

export function createRunChunkProcessor(dependencies: RunChunkProcessorDependencies): Handler<'run-chunk'> {
  const { runChunk, log, metrics } = dependencies;
  return async ({ runId, no }) => {
    const report = await runChunk(runId, no);
    count(report, metrics);
    if (report.outcome === 'failed') log.error('run.failed', { runId, no, error: report.error });
    if (report.outcome === 'given_back') log.warn('chunk.given_back', { runId, no, error: report.error });
    if (report.outcome === 'committed' && report.loadError !== null) {
      log.warn('chunk.not_loaded', { runId, no, error: report.loadError });
    }
    return { ...report };
  };
}

function count(report: ChunkReport, metrics: RunChunkProcessorDependencies['metrics']): void {
  switch (report.outcome) {
    case 'nothing_to_do':
      return;
    case 'committed': {
      const { predictor, usersScored, usersFailed, readMs, scoreMs, commitMs } = report;
      metrics.chunks.inc({ predictor, state: 'committed' });
      metrics.chunkDuration.observe({ predictor }, (readMs + scoreMs + commitMs) / 1000);
      metrics.usersScored.inc({ predictor, outcome: 'scored' }, usersScored);
      metrics.usersScored.inc({ predictor, outcome: 'failed' }, usersFailed);
      return;
    }
    case 'abandoned':
    case 'given_back':
    case 'failed':
      metrics.chunks.inc({ predictor: report.predictor, state: report.outcome });
      return;
    default:
      unreachable(report);
  }
}
