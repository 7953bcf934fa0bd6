/** Where the command line finds the service and its stores: what is said, then the environment, then this folder. */
import { readEnvironment } from '@tandem/config/environment/environment';
import { apiKey, database, redis } from '@tandem/config/environment/environment-sections';
import { findRunning } from '@tandem/local-servers/running-file';
import type { Cli } from '../cli.ts';
import { CommandFailure, EXIT_USAGE } from '../failure.ts';

const DEFAULT_API_URL = 'http://127.0.0.1:8080';

/** @param said the option `--url` */
export function findApiUrl({ env, cwd }: Cli, said: string | undefined): string {
  const url = said ?? (env.TANDEM_URL || undefined) ?? findRunning(cwd)?.apiUrl ?? DEFAULT_API_URL;
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return url;
  const place = said === undefined ? 'TANDEM_URL' : '--url';
  throw new CommandFailure(`${place} is not an address: ${url}`, {
    remedy: `write it like ${DEFAULT_API_URL}`,
    exitCode: EXIT_USAGE,
  });
}

/** The key that commands send, where the environment has one. */
export function findApiKey({ env }: Pick<Cli, 'env'>): { apiKey?: string } {
  const key = readEnvironment(env, { apiKey }).apiKey;
  return key === null ? {} : { apiKey: key };
}

/** The database that the environment names, checked; undefined where it names none. */
export function givenDatabaseUrl({ env }: Pick<Cli, 'env'>): string | undefined {
  return env.DATABASE_URL || env.DATABASE_URL_FILE ? readEnvironment(env, { database }).database.url : undefined;
}

/** The addresses of one database. */
export interface DatabaseUrls {
  readonly url: string;
  /** For statements that contain a feature query. */
  readonly featuresUrl: string;
}

/** The database's addresses; fails with the ways to name one. */
export function findDatabaseUrls(cli: Cli): DatabaseUrls {
  const given = givenDatabaseUrls(cli);
  if (given) return given;
  const url = findDatabaseUrl(cli);
  return { url, featuresUrl: url };
}

/** Undefined where the environment names no database. A login for features alone is refused. */
export function givenDatabaseUrls({ env }: Pick<Cli, 'env'>): DatabaseUrls | undefined {
  const names = ['DATABASE_URL', 'DATABASE_URL_FILE', 'FEATURES_DATABASE_URL', 'FEATURES_DATABASE_URL_FILE'];
  return names.some((name) => env[name]) ? readEnvironment(env, { database }).database : undefined;
}

export function givenRedisUrl({ env }: Pick<Cli, 'env'>): string | undefined {
  return env.REDIS_URL || env.REDIS_URL_FILE ? readEnvironment(env, { redis }).redis.url : undefined;
}

/** The database's address; fails with the ways to name one. */
export function findDatabaseUrl(cli: Cli): string {
  const url = givenDatabaseUrl(cli) ?? findRunning(cli.cwd)?.databaseUrl;
  if (url) return url;
  throw new CommandFailure('no database is known here', {
    remedy: 'set DATABASE_URL=postgres://user:password@host:5432/database, or run this in the folder of a `tandem up`',
  });
}

export function findRedisUrl(cli: Cli): string {
  const url = givenRedisUrl(cli) ?? findRunning(cli.cwd)?.redisUrl;
  if (url) return url;
  throw new CommandFailure('no Redis is known here', {
    remedy: 'set REDIS_URL=redis://host:6379, or run this in the folder of a `tandem up`',
  });
}
