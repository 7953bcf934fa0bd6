/** The options of an embedded reader: checks them and fills in the defaults. */
import { TandemError } from '@tandem/freshness/errors';
import type { BucketOptions } from '@tandem/offline-store/models/artifact-bucket';
import type { DatabasePaths } from '@tandem/offline-store/sql/paths';
import {
  INFERENCE_MEMORY_MB,
  LEAST_INFERENCE_MEMORY_MB,
  LIVE_QUEUE_USERS,
  LIVE_RUN_USERS,
} from '@tandem/prediction/models/model-limits';
import { LEAST_CONNECTIONS } from '@tandem/reading/open-pools';
import type { LogLevel } from '@tandem/telemetry/log';

export interface TandemOptions {
  /**
   * A postgres:// URL; or an object with the addresses that an API takes from `DATABASE_URL`, `FEATURES_DATABASE_URL`
   * and `DATABASE_DIRECT_URL`.
   */
  readonly database: string | DatabaseOptions;
  /** A redis:// URL. */
  readonly redis: string | RedisOptions;
  /**
   * Options of live inference; `false` starts no inference children. Users without a fresh stored prediction then get a
   * stale prediction, the default or an error.
   */
  readonly live?: boolean;
  readonly inference?: InferenceOptions;
  /** Memory for recently read predictions, in MB of 10^6 bytes (default 64). 0 keeps none. */
  readonly predictionMemory?: { readonly megabytes: number };
  /** The bucket of model files. Default: Postgres. */
  readonly artifacts?: BucketOptions;
  /** The level of the log, which is JSON lines on standard error (default `warn`). */
  readonly logLevel?: LogLevel | 'silent';
}

interface DatabaseOptions extends DatabasePaths {
  /** The most Postgres connections of this process (default 12, at least 9). */
  readonly connections?: number;
}

interface RedisOptions {
  readonly url: string;
  /** How long a read waits for Redis, in ms (default 50). */
  readonly commandTimeoutMs?: number;
}

interface InferenceOptions {
  /** The number of child processes that run models (default 1). */
  readonly processes?: number;
  /** The number of threads of each child process (default 1). */
  readonly threads?: number;
  /** Memory limit of each child process, in MiB (default 512, at least 256). */
  readonly memoryMb?: number;
  /** The most users that may wait for a live answer (default 10,000). */
  readonly queueLimit?: number;
  /** The most users of one live run (default 256). */
  readonly batchLimit?: number;
}

const CONNECTIONS = 12;
const MEMORY_MB = 64;

export type CheckedOptions = ReturnType<typeof checkOptions>;

/** Checks the options and fills in the defaults. Throws `config_invalid`, naming the option. */
export function checkOptions(options: TandemOptions) {
  if (!isObject(options)) throw refused('database', 'is missing', 'call createTandem({ database, redis })');
  only('', options, ['database', 'redis', 'live', 'inference', 'predictionMemory', 'artifacts', 'logLevel']);
  const database = typeof options.database === 'string' ? { url: options.database } : options.database;
  const redis = typeof options.redis === 'string' ? { url: options.redis } : options.redis;
  const { inference = {}, predictionMemory = { megabytes: MEMORY_MB }, live = true } = options;
  only('database.', address('database', database), ['url', 'featuresUrl', 'directUrl', 'connections']);
  only('redis.', address('redis', redis), ['url', 'commandTimeoutMs']);
  for (const [name, found] of Object.entries({ inference, predictionMemory, artifacts: options.artifacts ?? {} })) {
    if (!isObject(found)) throw refused(name, 'is not an object', 'leave it out for the default');
  }
  if (typeof live !== 'boolean') throw refused('live', 'is not a boolean', 'give true or false');
  oneOf('logLevel', options.logLevel ?? 'warn', ['debug', 'info', 'warn', 'error', 'silent']);
  only('predictionMemory.', predictionMemory, ['megabytes']);
  only('inference.', inference, ['processes', 'threads', 'memoryMb', 'queueLimit', 'batchLimit']);
  if (!live && options.inference) throw refused('inference', 'has no effect if live is false', 'leave one out');
  if (redis.commandTimeoutMs !== undefined) whole('redis.commandTimeoutMs', redis.commandTimeoutMs, 50);
  return {
    ...{ database, redis, live },
    connections: whole('database.connections', database.connections, CONNECTIONS, LEAST_CONNECTIONS),
    inference: {
      processes: whole('inference.processes', inference.processes, 1),
      threads: whole('inference.threads', inference.threads, 1),
      memoryMb: whole('inference.memoryMb', inference.memoryMb, INFERENCE_MEMORY_MB, LEAST_INFERENCE_MEMORY_MB),
      queueLimit: whole('inference.queueLimit', inference.queueLimit, LIVE_QUEUE_USERS),
      batchLimit: whole('inference.batchLimit', inference.batchLimit, LIVE_RUN_USERS),
    },
    answerCache: { megabytes: whole('predictionMemory.megabytes', predictionMemory.megabytes, MEMORY_MB, 0) },
    ...(options.artifacts === undefined ? {} : { artifacts: options.artifacts }),
    logLevel: options.logLevel ?? ('warn' as const),
  };
}

function only(place: string, found: object, names: readonly string[]): void {
  const unknown = Object.keys(found).find((name) => !names.includes(name));
  if (unknown !== undefined) throw refused(`${place}${unknown}`, 'is not an option', `use ${names.join(', ')}`);
}

function isObject(found: unknown): found is object {
  return typeof found === 'object' && found !== null;
}

function oneOf(name: string, found: unknown, values: readonly unknown[]): void {
  if (!values.includes(found)) throw refused(name, 'is not a log level', `use ${values.join(', ')}`);
}

function address(name: string, found: { readonly url?: unknown } | undefined): object {
  if (typeof found?.url === 'string' && URL.canParse(found.url)) return found;
  throw refused(
    name,
    'is not a URL',
    `give ${name === 'redis' ? 'redis://host:6379' : 'postgres://user@host:5432/database'}`,
  );
}

function whole(field: string, value: unknown, instead: number, least = 1): number {
  if (value === undefined) return instead;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least) return value;
  throw refused(field, `is not a whole number of at least ${least}`, `leave it out for ${instead}`);
}

/** Returns an error without the value, since an address may contain a password. */
function refused(field: string, what: string, remedy: string): TandemError {
  return new TandemError('config_invalid', `The option ${field} ${what}.`, { field, remedy });
}
