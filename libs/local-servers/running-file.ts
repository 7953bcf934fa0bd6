/**
 * Records the running services of a folder's `.tandem/` for other commands in that folder. `tandem predict` then finds
 * the API, and `tandem check` the database, without options. A record is valid only while its `tandem up` runs.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { isRunning, readProcess, readRecord, writeWhole } from './process-identity.ts';

export interface RunningServices {
  /** The URL of the API; null if none runs, since `up --servers` starts none. */
  readonly apiUrl: string | null;
  /**
   * The URL with its password; null if the environment names the server. Because of the password, only the owner may
   * read the file.
   */
  readonly databaseUrl: string | null;
  readonly redisUrl: string | null;
  /** Identifies the pepper of the API's keys without revealing it; null if no API runs. */
  readonly pepperId: string | null;
}

const FILE = 'running.json';

/** Writes the file for this process. Returns a function that removes the file. */
export function announceRunning(stateFolder: string, services: RunningServices): () => void {
  const path = join(stateFolder, FILE);
  const { pid } = process;
  writeWhole(path, JSON.stringify({ pid, startedAt: readProcess(pid)?.startedAt ?? '', ...services }), 0o600);
  return () => rmSync(path, { force: true });
}

/** Returns the running services of the folder's `.tandem/`; undefined if none run. */
export function findRunning(folder: string): RunningServices | undefined {
  const record = readRecord(join(folder, '.tandem', FILE));
  if (record === undefined || !isRunning(record)) return undefined;
  const textOf = (name: keyof RunningServices) => (typeof record[name] === 'string' ? record[name] : null);
  return {
    apiUrl: textOf('apiUrl'),
    databaseUrl: textOf('databaseUrl'),
    redisUrl: textOf('redisUrl'),
    pepperId: textOf('pepperId'),
  };
}
