/**
 * Records the running services of a folder's `.tandem/` for other commands in that folder. `tandem predict` then finds
 * the API, and `tandem check` the database, without options. A record is valid only while its `tandem up` runs.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRunning, readProcess } from './process-identity.ts';

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
  const record = { pid, startedAt: readProcess(pid)?.startedAt ?? '', ...services };
  writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
  // The rename makes the file appear completely or not at all.
  renameSync(`${path}.new`, path);
  return () => rmSync(path, { force: true });
}

/** Returns the running services of the folder's `.tandem/`; undefined if none run. */
export function findRunning(folder: string): RunningServices | undefined {
  const record = readRecord(join(folder, '.tandem', FILE));
  if (record === undefined || !isRunning(record)) return undefined;
  const { apiUrl, databaseUrl, redisUrl, pepperId } = record;
  return { apiUrl, databaseUrl, redisUrl, pepperId };
}

function readRecord(path: string): (RunningServices & { pid: number; startedAt: string }) | undefined {
  try {
    const record: Record<string, unknown> = JSON.parse(readFileSync(path, 'utf8'));
    const { pid, startedAt } = record;
    if (typeof pid !== 'number' || typeof startedAt !== 'string') return undefined;
    const [apiUrl, databaseUrl] = [textOrNull(record.apiUrl), textOrNull(record.databaseUrl)];
    const [redisUrl, pepperId] = [textOrNull(record.redisUrl), textOrNull(record.pepperId)];
    return { pid, startedAt, apiUrl, databaseUrl, redisUrl, pepperId };
  } catch {
    return undefined;
  }
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
