/**
 * Finds the service, its stores and its limits for commands: first in the options, then in the environment, then in
 * this folder. Opens connections to the database.
 */
import { readEnvironment } from '@tandem/config/environment/environment';
import {
  apiKey,
  type DatabaseSection,
  database,
  http,
  inference,
  redis,
} from '@tandem/config/environment/environment-sections';
import { findRunning } from '@tandem/local-servers/running-file';
import type { createPool } from '@tandem/offline-store/sql/database';
import type { DatabasePaths } from '@tandem/offline-store/sql/paths';
import { type Connection, openConnection } from '@tandem/transport/open-connection';
import type { Cli } from './command.ts';
import { CommandFailure, usageError } from './failure.ts';

const DEFAULT_API_URL = 'http://127.0.0.1:8080';

/**
 * Returns the URL of the API.
 * @param said the value of `--url`
 */
export function findApiUrl({ env, cwd }: Cli, said: string | undefined): string {
  const url = said ?? (env.TANDEM_URL || undefined) ?? findRunning(cwd)?.apiUrl ?? DEFAULT_API_URL;
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return url;
  const place = said === undefined ? 'TANDEM_URL' : '--url';
  throw usageError(`${place} is not an address: ${url}`, `write it like ${DEFAULT_API_URL}`);
}

/**
 * Returns whether only servers run in this folder and TANDEM_URL is unset. An API at the default address then belongs
 * to another folder.
 */
export function runsServersAlone({ env, cwd }: Pick<Cli, 'env' | 'cwd'>): boolean {
  return !env.TANDEM_URL && findRunning(cwd)?.apiUrl === null;
}

/** Returns the URL of the API on this machine from PORT and HOST; undefined if PORT is not set. */
export function givenApiUrl({ env }: Pick<Cli, 'env'>): string | undefined {
  if (!env.PORT) return undefined;
  const { host, port } = readEnvironment(env, { http }).http;
  // 0 means any free port.
  return port === 0 ? undefined : localUrl(host, port);
}

/** Returns the URL of a program on this machine that listens on a host and port. */
export function localUrl(host: string, port: number): string {
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`;
}

/** Returns the connection to the API, which each section of the client takes. */
export function connectApi(cli: Cli, { url }: { readonly url?: string }): Connection {
  if (url === undefined && runsServersAlone(cli)) {
    throw new CommandFailure('no API runs in this folder: `tandem up --servers` starts servers only', {
      remedy: 'stop it and run `npx tandem up`, or name another API with --url or TANDEM_URL',
    });
  }
  // A person waits longer for an answer than an application, but not as long for the end of an outage.
  return openConnection({
    url: findApiUrl(cli, url),
    ...findApiKey(cli),
    source: 'tandem-cli',
    timeoutMs: 10_000,
    retryForMs: 10_000,
    retryReadsForMs: 0,
  });
}

/** Returns the key that commands send, if the environment has one. */
export function findApiKey({ env }: Pick<Cli, 'env'>): { apiKey?: string } {
  const key = readEnvironment(env, { apiKey }).apiKey;
  return key === null ? {} : { apiKey: key };
}

/** Returns the checked database address from the environment; undefined if it has none. */
export function givenDatabaseUrl({ env }: Pick<Cli, 'env'>): string | undefined {
  return env.DATABASE_URL || env.DATABASE_URL_FILE ? commandUrls(env).url : undefined;
}

/** Returns the database addresses of API and worker; undefined if the environment has none. */
export function givenPaths({ env }: Pick<Cli, 'env'>): DatabaseSection | undefined {
  return env.DATABASE_URL || env.DATABASE_URL_FILE ? readEnvironment(env, { database }).database : undefined;
}

/**
 * Returns the addresses of a command, which bypasses a pooler: it runs only a short time, and migrations need a
 * session.
 */
function commandUrls(env: Cli['env']): DatabaseUrls {
  const { url, featuresUrl, directUrl } = readEnvironment(env, { database }).database;
  if (directUrl === undefined) return { url, featuresUrl };
  return { url: directUrl, directUrl, featuresUrl: featuresUrl === url ? directUrl : featuresUrl };
}

/** The addresses of one database. */
export interface DatabaseUrls extends DatabasePaths {
  /** The address for statements that contain a feature query. */
  readonly featuresUrl: string;
}

/** Returns the database's addresses. Throws a CommandFailure that says how to set one. */
export function findDatabaseUrls(cli: Cli): DatabaseUrls {
  const given = givenDatabaseUrls(cli);
  if (given) return given;
  const url = findDatabaseUrl(cli);
  return { url, featuresUrl: url };
}

/**
 * Returns the addresses from the environment; undefined if it has none. Rejects an environment that has only a login
 * for features.
 */
export function givenDatabaseUrls({ env }: Pick<Cli, 'env'>): DatabaseUrls | undefined {
  const names = ['DATABASE_URL', 'DATABASE_URL_FILE', 'FEATURES_DATABASE_URL', 'FEATURES_DATABASE_URL_FILE'];
  return names.some((name) => env[name]) ? commandUrls(env) : undefined;
}

export function givenRedisUrl({ env }: Pick<Cli, 'env'>): string | undefined {
  return env.REDIS_URL || env.REDIS_URL_FILE ? readEnvironment(env, { redis }).redis.url : undefined;
}

/** Returns the database's address. Throws a CommandFailure that says how to set one. */
export function findDatabaseUrl(cli: Cli): string {
  const url = givenDatabaseUrl(cli) ?? findRunning(cli.cwd)?.databaseUrl;
  if (url) return url;
  throw new CommandFailure('no database is configured', {
    remedy: 'set DATABASE_URL=postgres://user:password@host:5432/database, or run this in the folder of a `tandem up`',
  });
}

/** Returns the address of Redis from the environment or from a `tandem up` in this folder; undefined without either. */
export function knownRedisUrl(cli: Cli): string | undefined {
  return givenRedisUrl(cli) ?? findRunning(cli.cwd)?.redisUrl ?? undefined;
}

export function findRedisUrl(cli: Cli): string {
  const url = knownRedisUrl(cli);
  if (url) return url;
  throw new CommandFailure('no Redis is configured', {
    remedy: 'set REDIS_URL=redis://host:6379, or run this in the folder of a `tandem up`',
  });
}

/**
 * Returns the memory limit in MiB of a process that tries a model. It is that of the serving processes
 * (`INFERENCE_MEMORY_MB`).
 */
export function modelMemoryMb({ env }: Pick<Cli, 'env'>): number {
  return readEnvironment(env, { inference }).inference.memoryMb;
}

type Pool = ReturnType<typeof createPool>;

/**
 * The database of a command, with two pools: one for Tandem's statements, and one for statements that contain a feature
 * query.
 */
export interface Databases {
  readonly pool: Pool;
  /**
   * The pool of feature queries. It is separate because of its session settings, and because its login may have fewer
   * rights.
   */
  readonly features: Pool;
}

/**
 * Opens both pools for the duration of the work. Rejects with `config_invalid` if the login of feature statements
 * reaches another database or lacks a right.
 */
export async function withDatabases<T>(
  urls: DatabaseUrls,
  choice: { readonly applicationName: string; readonly statementTimeoutMs?: number },
  work: (databases: Databases) => Promise<T>,
): Promise<T> {
  const { createPool } = await import('@tandem/offline-store/sql/database');
  const { assertFeatureLogin, createFeaturePool } = await import('@tandem/offline-store/features/feature-login');
  const pool = createPool({ ...choice, url: urls.url, max: 2 });
  const applicationName = `${choice.applicationName}-features`;
  const features = createFeaturePool(urls, { ...choice, max: 2, applicationName });
  try {
    if (urls.featuresUrl !== urls.url) await assertFeatureLogin(pool, features);
    return await work({ pool, features });
  } finally {
    await Promise.all([pool.end(), features.end()]);
  }
}

/** Opens a pool on the database of the command for the duration of the work. */
export async function withPool<T>(
  cli: Cli,
  choice: { readonly applicationName: string; readonly max: number },
  work: (pool: Pool) => Promise<T>,
): Promise<T> {
  const url = findDatabaseUrl(cli);
  const { createPool } = await import('@tandem/offline-store/sql/database');
  const pool = createPool({ ...choice, url });
  try {
    return await work(pool);
  } finally {
    await pool.end();
  }
}
