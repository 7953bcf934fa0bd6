/**
 * The log as the libraries take it, which tell what happened and leave to the programs how bad it is. That is decided
 * here, by the event's name, once for all programs.
 */
import type { EventName, Log } from './log.ts';

export type LibraryLog = (event: string, fields: Readonly<Record<string, unknown>>) => void;

/** What somebody should look into if it goes on; every other event is the course of things. */
const WARNINGS: ReadonlySet<string> = new Set([
  'inference.model_not_loaded',
  'inference.process_ended',
  'online_store.buckets_crowded',
  'online_store.circuit_open',
  'online_store.lost',
  'online_store.read_refused',
]);

export function createLibraryLog(log: Log): LibraryLog {
  return (event, fields) => log[WARNINGS.has(event) ? 'warn' : 'info'](event as EventName, fields);
}
