/** Logs changes of the model versions that a process keeps loaded, for all programs. */
import type { Log } from './log.ts';
import { serialiseRefusal } from './serialise-error.ts';

interface LoadedVersion {
  readonly modelVersionId: string;
  readonly state: 'loading' | 'ready' | 'failed';
  readonly error: string | null;
}

export function createLoadLog(log: Pick<Log, 'info' | 'warn'>) {
  return {
    onReport({ modelVersionId, state, error }: LoadedVersion): void {
      if (state === 'ready') log.info('model.ready', { modelVersionId });
      if (state === 'failed') log.warn('model.not_ready', { modelVersionId, error });
    },
    onSilence(error: unknown): void {
      if (error === null) log.info('process.registered_again');
      else log.warn('process.not_registered', { error: serialiseRefusal(error) });
    },
  };
}
