/** Where keys are made and taken back: in the database, under the pepper that the API checks them with. */
import { join } from 'node:path';
import { readEnvironment } from '@tandem/config/environment';
import { apiKeys } from '@tandem/config/environment-sections';
import { findRunning } from '@tandem/local-servers/running-file';
import { readOrCreateSecret } from '@tandem/local-servers/secret-file';
import type { createPool } from '@tandem/offline-store/database';
import type { Cli } from '../cli.ts';
import { CommandFailure } from '../failure.ts';
import { findDatabaseUrl } from '../servers/addresses.ts';

const UNDEFINED_TABLE = '42P01';
const PEPPER_FILE = 'api-key-pepper';

/** The pepper of a folder that `tandem up` runs in: made once, and kept there. */
export function localPepperFile(stateFolder: string): string {
  const path = join(stateFolder, PEPPER_FILE);
  readOrCreateSecret(path);
  return path;
}

/** From the environment, else of the `tandem up` that runs in this folder. */
export function findPepper({ env, cwd }: Cli): string {
  const given = readEnvironment(env, { apiKeys }).apiKeys.pepper;
  if (given !== null) return given;
  if (findRunning(cwd)) return readOrCreateSecret(localPepperFile(join(cwd, '.tandem')));
  throw new CommandFailure('no pepper is known here, under which keys are stored', {
    remedy:
      'set API_KEY_PEPPER, or API_KEY_PEPPER_FILE, to what the API has; or run this in the folder of a `tandem up`',
  });
}

/** Runs the work with a connection to the keys' database. */
export async function withKeys<T>(cli: Cli, work: (pool: ReturnType<typeof createPool>) => Promise<T>): Promise<T> {
  const url = findDatabaseUrl(cli);
  const { createPool, sqlState } = await import('@tandem/offline-store/database');
  const pool = createPool({ url, max: 1, applicationName: 'tandem-key' });
  try {
    return await work(pool);
  } catch (error) {
    if (sqlState(error) !== UNDEFINED_TABLE) throw error;
    throw new CommandFailure('the database has no table for keys', { remedy: 'tandem migrate makes it', cause: error });
  } finally {
    await pool.end();
  }
}
