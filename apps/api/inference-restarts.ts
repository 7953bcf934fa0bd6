/** Counts the inference processes that were replaced: their pool tells of each in its log, with the reason in words. */
import type { Metrics } from '@tandem/telemetry/metrics';
import type { LibraryLog } from './library-log.ts';

/** Passes everything on to `log`. */
export function countRestarts(metrics: Pick<Metrics, 'inferenceRestarts'>, log: LibraryLog): LibraryLog {
  return (event, fields) => {
    if (event === 'inference.process_ended') metrics.inferenceRestarts.inc({ why: whyOf(String(fields.how)) });
    log(event, fields);
  };
}

/** Few values, for a label. */
function whyOf(how: string): 'memory' | 'timeout' | 'crash' {
  if (how.includes('of memory')) return 'memory';
  return how.includes('no answer within') ? 'timeout' : 'crash';
}
