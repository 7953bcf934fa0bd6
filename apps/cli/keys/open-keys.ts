/** Opens the keys in the database, and finds the pepper with which the API checks them. */
import { join } from 'node:path';
import type { Cli } from '@tandem/commands/command';
import { givenDatabaseUrl, withPool } from '@tandem/commands/environment';
import { CommandFailure } from '@tandem/commands/failure';
import { readEnvironment } from '@tandem/config/environment/environment';
import { apiKeys } from '@tandem/config/environment/environment-sections';
import { findRunning, type RunningServices } from '@tandem/local-servers/running-file';
import { readOrCreateSecret } from '@tandem/local-servers/secret-file';
import type { createPool } from '@tandem/offline-store/sql/database';
import { pepperId } from '@tandem/prediction/keys/api-key';

const UNDEFINED_TABLE = '42P01';
const PEPPER_FILE = 'api-key-pepper';

/** Returns the file of the folder's pepper, which is created once and kept. */
export function localPepperFile(stateFolder: string): string {
  const path = join(stateFolder, PEPPER_FILE);
  readOrCreateSecret(path);
  return path;
}

/** Returns the pepper of a `tandem up`: that of its environment, otherwise that of the folder. */
export function pepperOfUp({ env }: Pick<Cli, 'env'>, stateFolder: string): string {
  return givenPepper(env) ?? readOrCreateSecret(localPepperFile(stateFolder));
}

/**
 * Returns the pepper under which keys are stored: that of the environment, or else that of the `tandem up` in this
 * folder with the same database. Throws a CommandFailure if there is none, or if the API of that `tandem up` has
 * another pepper and would reject the key.
 */
export function findPepper(cli: Cli): string {
  const inFolder = findRunning(cli.cwd);
  const running = inFolder && isSameDatabase(inFolder, cli) ? inFolder : null;
  const pepper = running ? pepperOfUp(cli, join(cli.cwd, '.tandem')) : givenPepper(cli.env);
  if (pepper === null) {
    throw new CommandFailure('no API_KEY_PEPPER is configured, but keys are stored under a pepper', {
      remedy:
        'set API_KEY_PEPPER, or API_KEY_PEPPER_FILE, to the pepper of the API; or run this in the folder of a `tandem up`',
    });
  }
  if (running && isAnother(running, pepper)) throw anotherPepper(cli);
  return pepper;
}

/** Returns the id of the pepper of the environment, or else of the `tandem up` in this folder. */
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

/**
 * Returns whether the keys belong to the `tandem up`. Its file does not contain addresses from the environment, so the
 * answer may be incomplete.
 */
function isSameDatabase({ databaseUrl }: RunningServices, cli: Cli): boolean {
  const given = givenDatabaseUrl(cli);
  return given === undefined || databaseUrl === null || given === databaseUrl;
}

function anotherPepper({ env }: Cli): CommandFailure {
  const [problem, remedy] =
    givenPepper(env) === null
      ? [
          'this command has no API_KEY_PEPPER, but the `tandem up` of this folder was started with one',
          'set API_KEY_PEPPER, or API_KEY_PEPPER_FILE, to the value of that `tandem up`',
        ]
      : [
          'API_KEY_PEPPER differs from that of the `tandem up` of this folder',
          'unset API_KEY_PEPPER and API_KEY_PEPPER_FILE, or set them to the values of that `tandem up`',
        ];
  return new CommandFailure(`${problem}: its API would reject the key`, {
    remedy: `${remedy}; for another database, run this in another folder`,
  });
}

/** Runs the work with a connection to the database of the keys. */
export async function withKeys<T>(cli: Cli, work: (pool: ReturnType<typeof createPool>) => Promise<T>): Promise<T> {
  try {
    return await withPool(cli, { applicationName: 'tandem-key', max: 1 }, work);
  } catch (error) {
    const { sqlState } = await import('@tandem/offline-store/sql/database');
    if (sqlState(error) !== UNDEFINED_TABLE) throw error;
    throw new CommandFailure('the database has no table for keys', { remedy: 'run tandem migrate', cause: error });
  }
}
