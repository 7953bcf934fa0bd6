/** Whether this worker may begin work: not while the schema follows a freshness protocol that this release does not know. */
import { isTandemError, type TandemError } from '@tandem/freshness/errors';
import type { Log } from '@tandem/telemetry/log';

/**
 * Returns a check for before each job and each round. It logs each change once, however often it is asked.
 * @param check rejects with `protocol_unknown`; any other error is left to the work itself, which meets it too
 */
export function createProtocolGate(
  check: () => Promise<void>,
  log: Pick<Log, 'error' | 'info'>,
): () => Promise<TandemError | null> {
  let isUnknown = false;
  return async function whyIdle() {
    try {
      await check();
    } catch (error) {
      if (!isTandemError(error, 'protocol_unknown')) return null;
      if (!isUnknown) log.error('protocol.unknown', { problem: error.message, remedy: error.remedy });
      isUnknown = true;
      return error;
    }
    if (isUnknown) log.info('protocol.known');
    isUnknown = false;
    return null;
  };
}
