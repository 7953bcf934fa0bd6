/** The sections of the environment. Each function defines its variables, their units and defaults for all apps. */
import { availableParallelism } from 'node:os';
import {
  INFERENCE_MEMORY_MB,
  LEAST_INFERENCE_MEMORY_MB,
  LIVE_QUEUE_USERS,
  LIVE_RUN_USERS,
} from '@tandem/prediction/models/model-limits';
import { REDIS_SCHEMES, redisAddressProblem } from '@tandem/redis/redis-address';
import type { Section, VariableReader } from './environment.ts';

/** The most connections of an API process if `DATABASE_CONNECTIONS` is not set. */
export const API_CONNECTIONS = 24;
/** The fewest connections of an API, which leave two for requests and two for feature statements. */
const LEAST_CONNECTIONS = 16;

export interface DatabaseSection {
  /** The URL with its password: log it only through `maskUrl`. */
  readonly url: string;
  /**
   * The URL of the same database for statements that contain a feature query, possibly with a login of fewer rights.
   */
  readonly featuresUrl: string;
  /** The URL of the server itself, if `url` leads through a pooler in transaction mode. */
  readonly directUrl?: string;
  /** The most connections of one process. */
  readonly connections?: number;
}

/**
 * Reads `DATABASE_URL` (required), `FEATURES_DATABASE_URL` and `DATABASE_DIRECT_URL` (default: `DATABASE_URL`), or each
 * with `_FILE`; and `DATABASE_CONNECTIONS` (24 for an API, 37 for a worker).
 */
export const database: Section<DatabaseSection> = (read) => {
  const form = { protocols: ['postgres:', 'postgresql:'] };
  const url = read.url('DATABASE_URL', form, 'postgres://user:password@localhost:5432/database');
  const example = 'postgres://features:password@localhost:5432/database';
  const featuresUrl = read.url('FEATURES_DATABASE_URL', form, example, url);
  const directUrl = read.url('DATABASE_DIRECT_URL', form, 'postgres://user:password@postgres:5432/database', '');
  const connections = read.optionalWhole('DATABASE_CONNECTIONS', { least: LEAST_CONNECTIONS, most: 10_000 });
  return {
    ...{ url, featuresUrl },
    ...(directUrl === '' ? {} : { directUrl }),
    ...(connections === null ? {} : { connections }),
  };
};

/** Reads `REDIS_URL` (required) and `QUEUE_REDIS_URL` (default: `REDIS_URL`), or each with `_FILE`. */
export const redis = (read: VariableReader) => {
  const form = { protocols: REDIS_SCHEMES, problemOf: redisAddressProblem };
  /** The online store. */
  const url = read.url('REDIS_URL', form, 'redis://localhost:6379');
  /** The queue's Redis, which must be `noeviction`. */
  const queueUrl = read.url('QUEUE_REDIS_URL', form, 'redis://localhost:6380', url);
  return { url, queueUrl };
};
export type RedisSection = ReturnType<typeof redis>;

const HTTP = { protocols: ['https:', 'http:'] };
const LOOPBACK = '127.0.0.1';

const PORT_BOUNDS = { least: 0, most: 65_535 };

/** Reads `HOST` (127.0.0.1), `PORT` (8080) and `METRICS_PORT` (none). */
export const http = (read: VariableReader) => {
  const host = read.host('HOST', LOOPBACK);
  /** The port of the API; 0 for any free port. */
  const port = read.whole('PORT', { ...PORT_BOUNDS, instead: 8080 });
  /** The port of metrics; null for the API's port, if that is on loopback. */
  const metricsPort = read.optionalWhole('METRICS_PORT', PORT_BOUNDS);
  if (metricsPort !== null && metricsPort === port && port !== 0) {
    read.refuse('METRICS_PORT', `is ${metricsPort}, the same as PORT`, 'choose another port, or unset it');
  }
  return { host, port, metricsPort };
};
export type HttpSection = ReturnType<typeof http>;

/**
 * Returns the section that reads the variables of further ports of the API. Its value has the port of each variable, in
 * order; null for a variable that is not set.
 */
export function furtherPorts(variables: readonly string[]): Section<readonly (number | null)[]> {
  return (read) => {
    const { port: ofApi, metricsPort } = http(read);
    const taken = new Map([
      [metricsPort, 'METRICS_PORT'],
      [ofApi, 'PORT'],
    ]);
    return variables.map((variable) => {
      const port = read.optionalWhole(variable, PORT_BOUNDS);
      // Port 0 is any free port.
      const other = port ? taken.get(port) : undefined;
      if (other) read.refuse(variable, `is ${port}, the same as ${other}`, 'choose another port, or unset it');
      else taken.set(port, variable);
      return port;
    });
  };
}

/** An upper limit far above the cores of a machine. */
export const MOST_API_PROCESSES = 64;

/** Reads `API_PROCESSES` (1), the number of API processes that share `PORT` and `METRICS_PORT`. */
export const apiProcesses: Section<number> = (read) =>
  read.whole('API_PROCESSES', { least: 1, most: MOST_API_PROCESSES, instead: 1 });

/** The length of 16 random bytes in hex. A secret that a person makes up is usually shorter. */
const LEAST_PEPPER = 32;

/** Reads `API_KEYS` (auto), `API_KEY_PEPPER` or its `_FILE` (none), and `PUBLISHED_ON` (HOST). */
export const apiKeys = (read: VariableReader) => ({
  /** Whether keys are required. `auto`: off if the API is published on loopback, else required. */
  mode: read.oneOf('API_KEYS', ['auto', 'off', 'required'], 'auto'),
  /** The pepper of stored keys; null if none is set. */
  pepper: read.secret('API_KEY_PEPPER', LEAST_PEPPER, 'make one: openssl rand -hex 32'),
  /** The address at which clients reach the API. It differs from `HOST` behind a proxy or in a container. */
  publishedOn: read.host('PUBLISHED_ON', read.host('HOST', LOOPBACK)),
});
export type ApiKeysSection = ReturnType<typeof apiKeys>;

/** Reads `TANDEM_API_KEY` or its `_FILE`, the key that a program sends to the API. */
export const apiKey: Section<string | null> = (read) =>
  read.secret('TANDEM_API_KEY', 1, 'give the whole key, as tandem key create printed it');

/**
 * Reads `INFERENCE_PROCESSES` (the processors less one, at least 1), `INFERENCE_MEMORY_MB` (512, at least 256),
 * `INFERENCE_QUEUE_LIMIT` (10,000 users), `INFERENCE_BATCH_LIMIT` (256 users; 1: no batching), `INFERENCE_THREADS` (1).
 */
export const inference = inferenceOf(1);
export type InferenceSection = ReturnType<typeof inference>;

/**
 * Reads the same variables for a worker, with a default of at least 2 processes: one runs a model while the other waits
 * for rows.
 */
export const batchInference = inferenceOf(2);

function inferenceOf(leastProcesses: number) {
  return (read: VariableReader) => ({
    /** The number of child processes that run models. */
    processes: read.whole('INFERENCE_PROCESSES', {
      least: 1,
      most: 256,
      instead: Math.max(leastProcesses, availableParallelism() - 1),
    }),
    /** Memory limit of each child, in MiB. A child above the limit is killed and restarted. */
    memoryMb: read.whole('INFERENCE_MEMORY_MB', {
      least: LEAST_INFERENCE_MEMORY_MB,
      most: 1_048_576,
      instead: INFERENCE_MEMORY_MB,
    }),
    /**
     * The most users that may wait for a live answer; further users are rejected as overloaded. A request for many users
     * counts each of them.
     */
    queueLimit: read.whole('INFERENCE_QUEUE_LIMIT', { least: 1, most: 1_000_000, instead: LIVE_QUEUE_USERS }),
    /** The most users of one live run. A higher limit raises throughput, and makes each user wait for a longer run. */
    batchLimit: read.whole('INFERENCE_BATCH_LIMIT', { least: 1, most: 10_000, instead: LIVE_RUN_USERS }),
    /** The number of threads of ONNX Runtime for one run, in each child. */
    threads: read.whole('INFERENCE_THREADS', { least: 1, most: 256, instead: 1 }),
  });
}

/** Reads `CHUNK_CONCURRENCY` (3). */
export const worker = (read: VariableReader) => ({
  /** The number of chunks that one worker process handles at once. */
  chunkConcurrency: read.whole('CHUNK_CONCURRENCY', { least: 1, most: 256, instead: 3 }),
});
export type WorkerSection = ReturnType<typeof worker>;

/** Reads `RUN_DEADLINE_MINUTES` (60) as ms: the latest end of a run, which decides how many workers it needs. */
export const runDeadlineMs: Section<number> = (read) =>
  60_000 * read.whole('RUN_DEADLINE_MINUTES', { least: 1, most: 100_000, instead: 60 });

/** Reads `LOG_LEVEL` (info). */
export const log = (read: VariableReader) => ({
  level: read.oneOf('LOG_LEVEL', ['debug', 'info', 'warn', 'error'], 'info'),
});

/**
 * Reads the bucket of model files that are not in Postgres: `ARTIFACT_URL` (`s3://bucket/prefix`; without it, files are in Postgres), `ARTIFACT_REGION` (us-east-1),
 * `ARTIFACT_ENDPOINT` (Amazon's endpoint of the region), `ARTIFACT_ACCESS_KEY_ID` and `ARTIFACT_SECRET_ACCESS_KEY`. All
 * except the region also exist with `_FILE`.
 */
export const artifacts = (read: VariableReader) => {
  const said = read.url('ARTIFACT_URL', { protocols: ['s3:'] }, 's3://bucket/prefix', '');
  if (!URL.canParse(said)) return null;
  const { hostname: bucket, pathname } = new URL(said);
  const region = read.host('ARTIFACT_REGION', 'us-east-1');
  const needed = (name: string) => {
    const value = read.secret(name, 1, 'give the whole key');
    if (value === null) read.refuse(name, 'is not set, but ARTIFACT_URL is', 'set it, or name it with _FILE');
    return value ?? '';
  };
  return {
    ...{ bucket, region },
    /** The prefix of objects, without a slash at either end; may be empty. */
    prefix: pathname.replace(/^\/+|\/+$/g, ''),
    /** The address of the S3 service. */
    endpoint: read.url('ARTIFACT_ENDPOINT', HTTP, 'https://…', `https://s3.${region}.amazonaws.com`),
    accessKeyId: needed('ARTIFACT_ACCESS_KEY_ID'),
    secretAccessKey: needed('ARTIFACT_SECRET_ACCESS_KEY'),
  };
};

/** Reads `TANDEM_HOSTS` (none): host names besides those of loopback, separated by spaces. */
export const hostNames: Section<readonly string[]> = (read) => read.hosts('TANDEM_HOSTS');

/**
 * Reads `WATCHDOG_MS` (60,000). A process ends, so that its supervisor restarts it, if its event loop is blocked for
 * that long. A worker also ends if it takes no job for that long although jobs wait and it has capacity.
 */
export const watchdogMs: Section<number> = (read) =>
  // BullMQ waits up to 5 s for a job, and the queue reopens a silent connection after 15 s. The limit must leave time
  // for both.
  read.whole('WATCHDOG_MS', { least: 10_000, most: 3_600_000, instead: 60_000 });
