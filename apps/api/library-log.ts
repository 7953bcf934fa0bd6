/** The log of the libraries, which name their events as we do and leave the level to us. */
import type { EventName, Log } from '@tandem/telemetry/log';

export type LibraryLog = (event: string, fields: Readonly<Record<string, unknown>>) => void;

export function libraryLog(log: Log, level: 'info' | 'warn'): LibraryLog {
  return (event, fields) => log[level](event as EventName, fields);
}
