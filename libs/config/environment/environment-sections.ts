/** The sections of the environment. Each function names its variables, their units and defaults, once for all apps. */
import { availableParallelism } from 'node:os';
import {
  INFERENCE_MEMORY_MB,
  LEAST_INFERENCE_MEMORY_MB,
  LIVE_QUEUE_USERS,
  LIVE_RUN_USERS,
} from '@tandem/prediction/models/model-limits';
import { REDIS_SCHEMES, redisAddressProblem } from '@tandem/redis/redis-address';
import type { Section } from './environment.ts';

/** Connections that an API process opens at most, where `DATABASE_CONNECTIONS` is not set. */
export const API_CONNECTIONS = 24;
/** The connections of an API with two for requests and two for feature statements. */
const LEAST_CONNECTIONS = 16;

export interface DatabaseSection {
  /** Holds the password: log it through `maskUrl` alone. */
  readonly url: string;
  /** The same database for the statements that contain a feature query, perhaps with a login of fewer rights. */
  readonly featuresUrl: string;
  /** The server itself, where `url` leads through a pooler in transaction mode. */
  readonly directUrl?: string;
  /** Connections that one process opens at most. */
  readonly connections?: number;
}

/**
 * `DATABASE_URL` (required), `FEATURES_DATABASE_URL` (default: the same) and `DATABASE_DIRECT_URL` (the same), or each with
 * `_FILE`; `DATABASE_CONNECTIONS` (24 of an API, 37 of a worker).
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

export interface RedisSection {
  /** The online store. */
  readonly url: string;
  /** The queue's Redis, which must be `noeviction`. */
  readonly queueUrl: string;
}

/** `REDIS_URL` (required) and `QUEUE_REDIS_URL` (default: the same), or each with `_FILE`. */
export const redis: Section<RedisSection> = (read) => {
  const form = { protocols: REDIS_SCHEMES, problemOf: redisAddressProblem };
  const url = read.url('REDIS_URL', form, 'redis://localhost:6379');
  return { url, queueUrl: read.url('QUEUE_REDIS_URL', form, 'redis://localhost:6380', url) };
};

const HTTP = { protocols: ['https:', 'http:'] };
const LOOPBACK = '127.0.0.1';

export interface HttpSection {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** The port of metrics; null: the API's port, if that is on loopback. */
  readonly metricsPort: number | null;
  /** The port of the Open Inference Protocol over gRPC; null: none. */
  readonly grpcPort: number | null;
}

/** `HOST` (127.0.0.1), `PORT` (8080), `METRICS_PORT` (none), `GRPC_PORT` (none). */
export const http: Section<HttpSection> = (read) => {
  const host = read.host('HOST', LOOPBACK);
  const port = read.whole('PORT', { least: 0, most: 65_535, instead: 8080 });
  const metricsPort = read.optionalWhole('METRICS_PORT', { least: 0, most: 65_535 });
  if (metricsPort !== null && metricsPort === port && port !== 0) {
    read.refuse('METRICS_PORT', `is ${metricsPort}, the same as PORT`, 'choose another port, or unset it');
  }
  const grpcPort = read.optionalWhole('GRPC_PORT', { least: 0, most: 65_535 });
  if (grpcPort !== null && grpcPort !== 0 && (grpcPort === port || grpcPort === metricsPort)) {
    const other = grpcPort === port ? 'PORT' : 'METRICS_PORT';
    read.refuse('GRPC_PORT', `is ${grpcPort}, the same as ${other}`, 'choose another port, or unset it');
  }
  return { host, port, metricsPort, grpcPort };
};

/** Far more than a machine has cores for. */
export const MOST_API_PROCESSES = 64;

/** `API_PROCESSES` (1): API processes that share `PORT` and `METRICS_PORT`. */
export const apiProcesses: Section<number> = (read) =>
  read.whole('API_PROCESSES', { least: 1, most: MOST_API_PROCESSES, instead: 1 });

export interface ApiKeysSection {
  /** `auto`: off where the API is published on loopback, required elsewhere. */
  readonly mode: 'auto' | 'off' | 'required';
  /** The pepper of stored keys; null if none is set. */
  readonly pepper: string | null;
  /** The address at which others reach the API: another than `HOST` behind a proxy, or in a container. */
  readonly publishedOn: string;
}

/** A secret that people make up is shorter; 16 random bytes in hex are not. */
const LEAST_PEPPER = 32;

/** `API_KEYS` (auto), `API_KEY_PEPPER` or `_FILE` (none), `PUBLISHED_ON` (HOST). */
export const apiKeys: Section<ApiKeysSection> = (read) => ({
  mode: read.oneOf('API_KEYS', ['auto', 'off', 'required'], 'auto'),
  pepper: read.secret('API_KEY_PEPPER', LEAST_PEPPER, 'make one: openssl rand -hex 32'),
  publishedOn: read.host('PUBLISHED_ON', read.host('HOST', LOOPBACK)),
});

/** `TANDEM_API_KEY` or `_FILE`: the key that a program sends to the API. */
export const apiKey: Section<string | null> = (read) =>
  read.secret('TANDEM_API_KEY', 1, 'give the whole key, as tandem key create printed it');

export interface InferenceSection {
  /** Child processes that run models. */
  readonly processes: number;
  /** Memory bound of each, in MiB; a child above it is killed and started again. */
  readonly memoryMb: number;
  /** Users that may wait for a live answer; further ones are refused as overloaded. A request of many counts each. */
  readonly queueLimit: number;
  /** Users of one live run at most. More in a run is more throughput, and a longer run that each of them waits for. */
  readonly batchLimit: number;
  /** Threads that ONNX Runtime uses for one run, in each child. */
  readonly threads: number;
}

/**
 * `INFERENCE_PROCESSES` (the processors less one, at least 1), `INFERENCE_MEMORY_MB` (512, at least 256),
 * `INFERENCE_QUEUE_LIMIT` (10,000 users), `INFERENCE_BATCH_LIMIT` (256 users; 1: no batching), `INFERENCE_THREADS` (1).
 */
export const inference: Section<InferenceSection> = inferenceOf(1);

/** The same for a worker, whose default is at least 2 processes: one runs while the other waits for its next rows. */
export const batchInference: Section<InferenceSection> = inferenceOf(2);

function inferenceOf(leastProcesses: number): Section<InferenceSection> {
  return (read) => ({
    processes: read.whole('INFERENCE_PROCESSES', {
      least: 1,
      most: 256,
      instead: Math.max(leastProcesses, availableParallelism() - 1),
    }),
    memoryMb: read.whole('INFERENCE_MEMORY_MB', {
      least: LEAST_INFERENCE_MEMORY_MB,
      most: 1_048_576,
      instead: INFERENCE_MEMORY_MB,
    }),
    queueLimit: read.whole('INFERENCE_QUEUE_LIMIT', { least: 1, most: 1_000_000, instead: LIVE_QUEUE_USERS }),
    batchLimit: read.whole('INFERENCE_BATCH_LIMIT', { least: 1, most: 10_000, instead: LIVE_RUN_USERS }),
    threads: read.whole('INFERENCE_THREADS', { least: 1, most: 256, instead: 1 }),
  });
}

export interface WorkerSection {
  /** Chunks that one worker process has under way at once. */
  readonly chunkConcurrency: number;
}

/** `CHUNK_CONCURRENCY` (3). */
export const worker: Section<WorkerSection> = (read) => ({
  chunkConcurrency: read.whole('CHUNK_CONCURRENCY', { least: 1, most: 256, instead: 3 }),
});

/** `RUN_DEADLINE_MINUTES` (60), in ms: when a run is to end at the latest, which says how many workers it needs. */
export const runDeadlineMs: Section<number> = (read) =>
  60_000 * read.whole('RUN_DEADLINE_MINUTES', { least: 1, most: 100_000, instead: 60 });

interface LogSection {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
}

/** `LOG_LEVEL` (info). */
export const log: Section<LogSection> = (read) => ({
  level: read.oneOf('LOG_LEVEL', ['debug', 'info', 'warn', 'error'], 'info'),
});

/** The bucket of model files that are not in Postgres. */
interface BucketSection {
  readonly bucket: string;
  /** The prefix of objects, without slashes at its ends; may be empty. */
  readonly prefix: string;
  /** The address of the S3 service. */
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/**
 * `ARTIFACT_URL` (`s3://bucket/prefix`; none: files are in Postgres), `ARTIFACT_REGION` (us-east-1), `ARTIFACT_ENDPOINT`
 * (Amazon's of that region), `ARTIFACT_ACCESS_KEY_ID`, `ARTIFACT_SECRET_ACCESS_KEY`; all but the region also with `_FILE`.
 */
export const artifacts: Section<BucketSection | null> = (read) => {
  const said = read.url('ARTIFACT_URL', { protocols: ['s3:'] }, 's3://bucket/prefix', '');
  if (!URL.canParse(said)) return null;
  const { hostname: bucket, pathname } = new URL(said);
  const region = read.host('ARTIFACT_REGION', 'us-east-1');
  const needed = (name: string) => {
    const value = read.secret(name, 1, 'give the whole key');
    if (value === null) read.refuse(name, 'is not set, and ARTIFACT_URL is', 'set it, or name it with _FILE');
    return value ?? '';
  };
  return {
    ...{ bucket, region },
    prefix: pathname.replace(/^\/+|\/+$/g, ''),
    endpoint: read.url('ARTIFACT_ENDPOINT', HTTP, 'https://…', `https://s3.${region}.amazonaws.com`),
    accessKeyId: needed('ARTIFACT_ACCESS_KEY_ID'),
    secretAccessKey: needed('ARTIFACT_SECRET_ACCESS_KEY'),
  };
};

/** `TANDEM_HOSTS` (none): names besides loopback's own, separated by spaces. */
export const hostNames: Section<readonly string[]> = (read) => read.hosts('TANDEM_HOSTS');

/**
 * `WATCHDOG_MS` (60,000): ends a process, so that its supervisor restarts it, if its event loop is blocked for that
 * long. It also ends a worker that takes no job for that long although jobs wait and it has capacity.
 */
export const watchdogMs: Section<number> = (read) =>
  // BullMQ blocks for 5 s for a job, and a connection that is silent is given up after 15: what heals may do so.
  read.whole('WATCHDOG_MS', { least: 10_000, most: 3_600_000, instead: 60_000 });
