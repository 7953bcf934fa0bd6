/**
 * Ends the process in order, after a signal or an uncaught fault. Requests under way may finish within bounds; after
 * the last time limit the process exits, even if something hangs.
 */
import type { Log } from '@tandem/telemetry/log';

interface EndingParts {
  readonly log: Log;
  /** Lets requests under way finish, and closes everything; resolves with whether that was in time. */
  drain(cause: 'signal' | 'fault'): Promise<boolean>;
  exit(code: number): void;
  /** Milliseconds after which the process ends, drained or not. */
  readonly lastResortMs: number;
}

interface Ending {
  /** Exit code 0. A second signal ends at once with 1: its sender does not want to wait. */
  onSignal(signal: string): void;
  /** Exit code 1. State may be broken, so the process ends; most requests under way are not affected. */
  onFault(error: unknown): void;
}

export function createEnding({ log, drain, exit, lastResortMs }: EndingParts): Ending {
  let exitCode: number | null = null;

  async function end(cause: 'signal' | 'fault', reason: string = cause): Promise<void> {
    log.info('api.stopping', { reason });
    // Not awaited: it must not keep an idle process alive.
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
    onSignal(signal) {
      if (exitCode !== null) return exit(1);
      exitCode = 0;
      void end('signal', signal);
    },
    onFault(error) {
      log.error('api.failed', { error });
      const isEnding = exitCode !== null;
      exitCode = 1;
      if (!isEnding) void end('fault');
    },
  };
}
