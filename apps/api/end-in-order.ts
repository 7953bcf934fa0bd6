/**
 * The end of the process, whatever brings it: a signal, or a fault that nobody caught. What is under way may finish within
 * bounds; after the last resort it is over, whatever still hangs.
 */
import type { Log } from '@tandem/telemetry/log';

interface EndingParts {
  readonly log: Log;
  /**
   * Lets what is under way finish, and closes everything; resolves with whether it finished in time.
   * @param cause after a fault, nothing new is to be begun
   */
  drain(cause: 'signal' | 'fault'): Promise<boolean>;
  exit(code: number): void;
  /** Milliseconds after which the process ends, drained or not. */
  readonly lastResortMs: number;
}

interface Ending {
  /** Exit code 0. A second signal is somebody who does not want to wait: 1, at once. */
  onSignal(signal: string): void;
  /** Exit code 1. State may be broken, so that the process ends; requests under way mostly have no part in it. */
  onFault(error: unknown): void;
}

export function createEnding({ log, drain, exit, lastResortMs }: EndingParts): Ending {
  let exitCode: number | null = null;

  async function end(cause: 'signal' | 'fault', reason: string = cause): Promise<void> {
    log.info('api.stopping', { reason });
    // Not waited for: it must not keep a process alive that has nothing left to do.
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
