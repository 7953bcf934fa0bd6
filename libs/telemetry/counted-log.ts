/** Counts the warnings and errors of a log by event, so that alerts can be based on them. */
import type { EventName, Log, LogFields, LogLevel } from './log.ts';
import type { Metrics } from './metrics.ts';

export function countWarnings(log: Log, metrics: Pick<Metrics, 'warnings'>): Log {
  const counted = (level: Extract<LogLevel, 'warn' | 'error'>) => (event: EventName, fields?: LogFields) => {
    metrics.warnings.inc({ level, event });
    log[level](event, fields);
  };
  return {
    debug: (event, fields) => log.debug(event, fields),
    info: (event, fields) => log.info(event, fields),
    warn: counted('warn'),
    error: counted('error'),
    with: (fields) => countWarnings(log.with(fields), metrics),
  };
}
