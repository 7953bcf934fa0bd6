/** Where keys are made and revoked: in the database, under the pepper that the API checks them with. */
import { join } from 'node:path';
import { readEnvironment } from '@tandem/config/environment/environment';
import { apiKeys } from '@tandem/config/environment/environment-sections';
import { findRunning, type RunningServices } from '@tandem/local-servers/running-file';
import { readOrCreateSecret } from '@tandem/local-servers/secret-file';
import type { createPool } from '@tandem/offline-store/sql/database';
import { pepperId } from '@tandem/prediction/keys/api-key';
import type { Cli } from '../command-line/command.ts';
import { givenDatabaseUrl, withPool } from '../command-line/environment.ts';
import { CommandFailure } from '../command-line/failure.ts';

const UNDEFINED_TABLE = '42P01';
const PEPPER_FILE = 'api-key-pepper';

/** Returns the file of the folder's own pepper, which is created once and kept. */
export function localPepperFile(stateFolder: string): string {
  const path = join(stateFolder, PEPPER_FILE);
  readOrCreateSecret(path);
  return path;
}

/** Returns the pepper of a `tandem up`: from its environment, else the folder's own. */
export function pepperOfUp({ env }: Pick<Cli, 'env'>, stateFolder: string): string {
  return givenPepper(env) ?? readOrCreateSecret(localPepperFile(stateFolder));
}

/**
 * Returns the pepper to store keys under: from the environment, else of the `tandem up` that runs in this folder with the same
 * database. Throws a CommandFailure if there is none, or if the API of that `tandem up` has another one and would refuse the key.
 */
export function findPepper(cli: Cli): string {
  const inFolder = findRunning(cli.cwd);
  const running = inFolder && isSameDatabase(inFolder, cli) ? inFolder : null;
  const pepper = running ? pepperOfUp(cli, join(cli.cwd, '.tandem')) : givenPepper(cli.env);
  if (pepper === null) {
    throw new CommandFailure('no API_KEY_PEPPER is configured, under which keys are stored', {
      remedy:
        'set API_KEY_PEPPER, or API_KEY_PEPPER_FILE, to the pepper of the API; or run this in the folder of a `tandem up`',
    });
  }
  if (running && isAnother(running, pepper)) throw anotherPepper(cli);
  return pepper;
}

/** Returns the id of the pepper of the environment, else of the pepper of this folder's `tandem up`. */
export function knownPepperId({ env, cwd }: Cli): string | null {
  const given = givenPepper(env);
  return given === null ? (findRunning(cwd)?.pepperId ?? null) : pepperId(given);
}

function givenPepper(env: Cli['env']): string | null {
  return readEnvironment(env, { apiKeys }).apiKeys.pepper;
}

function isAnother(running: RunningServices, pepper: string): boolean {
  return running.pepperId !== null && running.pepperId !== pepperId(pepper);
}

/** Whether the keys are those of the `tandem up`, as far as its file says: it does not repeat addresses of the environment. */
function isSameDatabase({ databaseUrl }: RunningServices, cli: Cli): boolean {
  const given = givenDatabaseUrl(cli);
  return given === undefined || databaseUrl === null || given === databaseUrl;
}

function anotherPepper({ env }: Cli): CommandFailure {
  const [problem, remedy] =
    givenPepper(env) === null
      ? [
          'this command has no API_KEY_PEPPER, and the `tandem up` of this folder was started with one',
          'set API_KEY_PEPPER, or API_KEY_PEPPER_FILE, to what that `tandem up` has',
        ]
      : [
          'API_KEY_PEPPER is another one than the `tandem up` of this folder has',
          'unset API_KEY_PEPPER and API_KEY_PEPPER_FILE, or set them to what that `tandem up` has',
        ];
  return new CommandFailure(`${problem}: its API would refuse the key`, {
    remedy: `${remedy}; for another database, run this in another folder`,
  });
}

/** Runs the work with a connection to the keys' database. */
export async function withKeys<T>(cli: Cli, work: (pool: ReturnType<typeof createPool>) => Promise<T>): Promise<T> {
  try {
    return await withPool(cli, { applicationName: 'tandem-key', max: 1 }, work);
  } catch (error) {
    const { sqlState } = await import('@tandem/offline-store/sql/database');
    if (sqlState(error) !== UNDEFINED_TABLE) throw error;
    throw new CommandFailure('the database has no table for keys', { remedy: 'tandem migrate makes it', cause: error });
  }
}
