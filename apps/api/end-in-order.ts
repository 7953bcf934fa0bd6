/**
 * Ends the process in order, after a signal or an uncaught fault. Requests in progress may finish within a time limit.
 * After the last limit the process exits, even if something hangs.
 */
import type { Log } from '@tandem/telemetry/log';

interface EndingParts {
  readonly log: Log;
  /** Lets requests in progress finish and closes everything. Resolves with whether that was in time. */
  drain(cause: 'signal' | 'fault'): Promise<boolean>;
  exit(code: number): void;
  /** Milliseconds after which the process ends, even if it is not drained. */
  readonly lastResortMs: number;
}

export function createEnding({ log, drain, exit, lastResortMs }: EndingParts) {
  let exitCode: number | null = null;

  async function end(cause: 'signal' | 'fault', reason: string = cause): Promise<void> {
    log.info('api.stopping', { reason });
    // The timer is not awaited, because it must not keep an idle process alive.
    setTimeout(() => {
      log.error('api.hung', { afterMs: lastResortMs });
      exit(1);
    }, lastResortMs).unref();
    try {
      log.info('api.stopped', { reason, inTime: await drain(cause) });
    } catch (error) {
      log.error('api.failed', { error });
      exitCode = 1;
    }
    exit(exitCode ?? 1);
  }

  return {
    /** Drains and exits with 0. A second signal exits with 1 at once, because its sender does not want to wait. */
    onSignal(signal: string) {
      if (exitCode !== null) return exit(1);
      exitCode = 0;
      void end('signal', signal);
    },
    /** Drains and exits with 1. State may be broken, so the process ends. Most requests in progress are not affected. */
    onFault(error: unknown): void {
      log.error('api.failed', { error });
      const isEnding = exitCode !== null;
      exitCode = 1;
      if (!isEnding) void end('fault');
    },
  };
}
