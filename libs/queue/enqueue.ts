/**
 * The producer's side of the queues. Adding a job takes a bounded time in any state of Redis. A job that could not be
 * added is reported and not thrown, since the reconciler enqueues unfinished work again.
 */
import { randomUUID } from 'node:crypto';
import { TandemError } from '@tandem/freshness/errors';
import { openRedis } from '@tandem/redis/open-redis';
import { parseRedisAddress, type ServerOptions } from '@tandem/redis/redis-address';
import type { Log } from '@tandem/telemetry/log';
import { within } from '@tandem/timing/within';
import { Queue as BullQueue, type JobsOptions } from 'bullmq';
import { Cluster, type Redis } from 'ioredis';
import { definitionOf, type JobClass, type JobName, type JobPayload, jobClasses } from './catalog.ts';

interface QueueOptions {
  /** An address for `parseRedisAddress`; the servers must be `noeviction`. */
  readonly url: string;
  readonly log: Log;
  /** The prefix of the queues' keys. */
  readonly prefix?: string;
}

type ClassCounts = Readonly<Record<'waiting' | 'active' | 'delayed' | 'failed', number>>;

export interface Queue {
  /**
   * Adds a job for each payload, unless a job with the same key waits or runs. Resolves within about 2 s; if Redis did
   * not accept the jobs, logs this and resolves to false. Rejects only for a payload that its job's schema rejects.
   */
  enqueue<N extends JobName>(name: N, ...payloads: readonly JobPayload<N>[]): Promise<boolean>;
  /**
   * Adds jobs like `enqueue`, even if a job with the same key waits or runs. Its worker may have been killed after it
   * took the job and before the work, which BullMQ detects only when the job's lock has expired.
   */
  enqueueAnew<N extends JobName>(name: N, ...payloads: readonly JobPayload<N>[]): Promise<boolean>;
  /** Returns the numbers of jobs. Rejects if Redis does not answer in time. */
  counts(): Promise<Readonly<Record<JobClass, ClassCounts>>>;
  close(): Promise<void>;
}

/** The longest time that a caller waits for Redis. */
const PATIENCE_MS = 2_000;
const tooLate = () => new Error(`no answer within ${PATIENCE_MS} ms`);
/** The limits for ended jobs, which BullMQ keeps for inspection. They bound the memory to a few MB. */
const KEEP_COMPLETED = { age: 3_600, count: 200 };
const KEEP_FAILED = { age: 7 * 86_400, count: 500 };

/**
 * Opens the queues. Rejects with `config_invalid` if the server may evict keys. For a server that does not answer, it
 * only logs a warning.
 */
export async function createQueue({ url, log, prefix = DEFAULT_PREFIX }: QueueOptions): Promise<Queue> {
  const redis = connectProducer(url);
  redis.on('error', () => undefined);
  const queues = new Map<JobClass, Promise<BullQueue>>();

  /** Returns the queue of a class. Creates it again if it failed to open, because BullMQ does not recover from that. */
  async function queueFor(jobClass: JobClass): Promise<BullQueue> {
    if (redis.status !== 'ready') throw new Error(`the queue's Redis is not connected (${redis.status})`);
    const known = queues.get(jobClass);
    if (known) return known;
    // Concurrent calls share one queue.
    const opening = open(jobClass);
    queues.set(jobClass, opening);
    opening.catch(() => queues.delete(jobClass));
    return opening;
  }

  async function open(jobClass: JobClass): Promise<BullQueue> {
    const queue = new BullQueue(jobClass, { connection: redis, prefix });
    queue.on('error', () => undefined);
    try {
      await within(PATIENCE_MS, queue.waitUntilReady(), tooLate);
      return queue;
    } catch (error) {
      // The queue added listeners to the connection, which outlives it.
      void queue.close().catch(() => undefined);
      throw error;
    }
  }

  async function add<N extends JobName>(name: N, payloads: readonly JobPayload<N>[], anew: boolean): Promise<void> {
    const { class: jobClass, key } = definitionOf(name);
    const queue = await queueFor(jobClass);
    if (anew) await Promise.all(payloads.map((payload) => queue.removeDeduplicationKey(key(payload))));
    await queue.addBulk(payloads.map((data) => ({ name, data, opts: jobOptions(name, data) })));
  }

  async function tryToAdd<N extends JobName>(name: N, payloads: readonly JobPayload<N>[], anew: boolean) {
    const { payload } = definitionOf(name);
    const checked = payloads.map((one) => payload.parse(one));
    if (checked.length === 0) return true;
    try {
      await within(PATIENCE_MS, add(name, checked, anew), tooLate);
      return true;
    } catch (error) {
      log.warn('queue.enqueue_failed', { job: name, jobs: checked.length, error });
      return false;
    }
  }

  const queue: Queue = {
    enqueue: (name, ...payloads) => tryToAdd(name, payloads, false),
    enqueueAnew: (name, ...payloads) => tryToAdd(name, payloads, true),
    async counts() {
      const all = jobClasses.map(async (jobClass) => [jobClass, await countsOf(await queueFor(jobClass))] as const);
      return Object.fromEntries(await within(PATIENCE_MS, Promise.all(all), tooLate)) as Record<JobClass, ClassCounts>;
    },
    async close() {
      await Promise.allSettled([...queues.values()].map(async (one) => (await one).close()));
      redis.disconnect();
    },
  };
  await refuseEvicting(redis, queue, log);
  return queue;
}

async function refuseEvicting(redis: QueueRedis, queue: Queue, log: Log): Promise<void> {
  if (redis.status !== 'ready') {
    const ready = new Promise<void>((resolve) => redis.once('ready', () => resolve()));
    await within(PATIENCE_MS, ready, tooLate).catch(() => undefined);
  }
  const isCluster = redis instanceof Cluster;
  if (!isCluster && (await isNodeOfCluster(redis))) {
    await queue.close();
    throw addressOfNode();
  }
  if (!isCluster) await assertDatabase(redis, queue);
  const servers = isCluster ? redis.nodes('master') : [redis];
  if (servers.length === 0) log.warn('queue.eviction_unchecked', { why: 'the cluster is not connected' });
  for (const server of servers) {
    const check = await checkEviction(server);
    if (check.outcome === 'unknown') log.warn('queue.eviction_unchecked', { why: check.why });
    if (check.outcome !== 'unfit') continue;
    await queue.close();
    throw unfitForQueues(check.policy);
  }
}

function jobOptions<N extends JobName>(name: N, payload: JobPayload<N>): JobsOptions {
  const { key, attempts, backoffMs, keyHeldMs, delayMs } = definitionOf(name);
  const about = key(payload);
  return {
    // An id is never used twice, since BullMQ ignores a job with the id of an ended job that it still keeps.
    jobId: `${about}-${randomUUID()}`,
    deduplication: keyHeldMs === null ? { id: about } : { id: about, ttl: keyHeldMs },
    attempts,
    backoff: { type: 'exponential', delay: backoffMs, jitter: 0.5 },
    delay: delayMs(payload),
    removeOnComplete: KEEP_COMPLETED,
    removeOnFail: KEEP_FAILED,
  };
}

async function countsOf(queue: BullQueue): Promise<ClassCounts> {
  const {
    waiting = 0,
    active = 0,
    delayed = 0,
    failed = 0,
  } = await queue.getJobCounts('waiting', 'active', 'delayed', 'failed');
  return { waiting, active, delayed, failed };
}

// Connections to the queue's Redis: one kind for producers, which must not wait, and one kind for workers, which must
// retry without a limit.

/** The default prefix of keys. All keys share its hash tag, so that BullMQ's scripts also work on a cluster. */
export const DEFAULT_PREFIX = '{tandem}';

const COMMAND_TIMEOUT_MS = 1_000;
const CONNECT_TIMEOUT_MS = 1_000;
/** The interval in ms in which a cluster is asked which server stores the queue's keys, in addition to redirections. */
const SLOTS_REFRESH_MS = 2_000;
/** Milliseconds of silence after which a connection is reopened. It is longer than BullMQ blocks for a job (5 s). */
const WORKER_SILENCE_MS = 15_000;

/** Opens a connection for producers, which fails at once while Redis does not answer. */
function connectProducer(url: string): QueueRedis {
  return connect(url, {
    connectionName: 'tandem-queue-producer',
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: COMMAND_TIMEOUT_MS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    retryStrategy,
  });
}

/** Opens a connection for BullMQ's workers, which waits for Redis without a limit. */
export function connectWorker(url: string): QueueRedis {
  return connect(url, {
    connectionName: 'tandem-queue-worker',
    maxRetriesPerRequest: null,
    connectTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: WORKER_SILENCE_MS,
    keepAlive: 5_000,
    retryStrategy,
  });
}

type QueueRedis = Redis | Cluster;

function connect(url: string, options: ServerOptions): QueueRedis {
  const address = parseRedisAddress(url);
  if (address.kind === 'server') return openRedis({ ...address.options, ...options });
  const { enableOfflineQueue = true, ...redisOptions } = options;
  return new Cluster([...address.seeds], {
    redisOptions: { ...redisOptions, ...address.login },
    enableOfflineQueue,
    clusterRetryStrategy: retryStrategy,
    // Nodes are addressed by the names that the cluster returns, since TLS certificates are for these names.
    dnsLookup: (host, callback) => callback(null, host),
    slotsRefreshTimeout: COMMAND_TIMEOUT_MS,
    slotsRefreshInterval: SLOTS_REFRESH_MS,
  });
}

function retryStrategy(times: number): number {
  return Math.min(50 * 2 ** Math.min(times, 6), 1_000);
}

// Checks that a queue's Redis does not evict keys. BullMQ's keys depend on each other, so an incomplete queue is worse
// than none.

/** The part of a connection that the check needs. */
interface InfoSource {
  info(section: 'memory'): Promise<string>;
}

/** The finding. `fit`: noeviction; `unfit`: another policy; `unknown`: the server does not report its policy. */
type EvictionCheck =
  | { readonly outcome: 'fit' }
  | { readonly outcome: 'unfit'; readonly policy: string }
  | { readonly outcome: 'unknown'; readonly why: string };

/** Reads the policy by INFO, since managed servers often forbid CONFIG. */
export async function checkEviction(redis: InfoSource): Promise<EvictionCheck> {
  let answer: string;
  try {
    answer = await redis.info('memory');
  } catch (error) {
    return { outcome: 'unknown', why: error instanceof Error ? error.message : String(error) };
  }
  const policy = /^maxmemory_policy:(\S+)/m.exec(answer)?.[1];
  if (policy === undefined) return { outcome: 'unknown', why: 'INFO memory does not contain maxmemory_policy' };
  return policy === 'noeviction' ? { outcome: 'fit' } : { outcome: 'unfit', policy };
}

/** Checks that the server has the address's database. The driver would otherwise continue in database 0. */
async function assertDatabase(redis: Redis, queue: Queue): Promise<void> {
  const { db = 0 } = redis.options;
  const refused =
    db === 0
      ? null
      : await redis.select(db).then(
          () => null,
          (error: Error) => error,
        );
  if (!refused || !/^(ERR|NOPERM)/.test(refused.message)) return;
  await queue.close();
  throw new TandemError('config_invalid', `The queue's Redis has no database ${db}: ${refused.message}`, {
    field: 'QUEUE_REDIS_URL',
    remedy: 'write another number as the path of the address (also in REDIS_URL), or raise databases in redis.conf',
  });
}

/** Returns whether the server is a node of a cluster; false also if it does not report it. */
async function isNodeOfCluster(redis: Redis): Promise<boolean> {
  const info = await redis.info('server').catch(() => '');
  return /^(redis|server)_mode:cluster/m.test(info);
}

function addressOfNode(): TandemError {
  return new TandemError(
    'config_invalid',
    "The queue's Redis is a node of a cluster, but its address names a single server.",
    {
      field: 'QUEUE_REDIS_URL',
      remedy:
        'write redis+cluster:// instead of redis://, or rediss+cluster:// with TLS; also in REDIS_URL if it names the cluster',
    },
  );
}

export function unfitForQueues(policy: string): TandemError {
  return new TandemError('config_invalid', `The queue's Redis may evict keys: its maxmemory-policy is ${policy}.`, {
    field: 'QUEUE_REDIS_URL',
    remedy:
      'run `redis-cli config set maxmemory-policy noeviction` (and set it in redis.conf), or name another Redis in QUEUE_REDIS_URL',
  });
}
