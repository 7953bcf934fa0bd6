/**
 * Decides whether this worker may work. It may not while the schema follows a freshness protocol that this release does
 * not know.
 */
import { isTandemError, type TandemError } from '@tandem/freshness/errors';
import type { Log } from '@tandem/telemetry/log';

/**
 * Creates the gate.
 * @param check rejects with `protocol_unknown`; any other error is ignored, because the work itself fails with it
 */
export function createProtocolGate(check: () => Promise<void>, log: Pick<Log, 'error' | 'info'>) {
  let unknown: TandemError | null = null;
  return {
    /** Returns why no job or round may begin now, or null. Called before each of them; logs each change once. */
    async whyIdle() {
      try {
        await check();
      } catch (error) {
        if (!isTandemError(error, 'protocol_unknown')) return null;
        if (!unknown) log.error('protocol.unknown', { problem: error.message, remedy: error.remedy });
        unknown = error;
        return error;
      }
      if (unknown) log.info('protocol.known');
      unknown = null;
      return null;
    },
    /**
     * Throws `protocol_unknown` if the last check found an unknown protocol. It makes no query, so running work calls it
     * before each step.
     */
    assertKnown() {
      if (unknown) throw unknown;
    },
  };
}
