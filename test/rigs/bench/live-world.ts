/**
 * A separate database and Redis keyspace for live reads, on the servers of the benchmark. They are separate because
 * events that make every user stale would change the results of the other sections.
 */
import { createClient } from '@tandem/client/create-client';
import { createPool } from '@tandem/offline-store/sql/database';
import { migrate } from '@tandem/offline-store/sql/migrate';
import { Redis } from 'ioredis';
import { adoptPredictor, FIRST_USER } from './predictors.ts';
import { type BenchServers, startApi, startWorker } from './service.ts';

const DATABASE = 'live';
const KEYSPACE = '1';
/** Long enough for the slowest target on a busy machine. A read that reaches this limit is not answered live. */
const LIVE_TIMEOUT_MS = 10_000;

export interface LiveWorld {
  readonly servers: BenchServers;
  /** Stores predictions of all users by a run, so that an event makes them stale. */
  storePredictions(name: string): Promise<void>;
  /** Raises the context version of all users, so that their stored predictions are stale. */
  changeEveryone(): Promise<void>;
  close(): Promise<void>;
}

/**
 * @param models the model of each predictor, by the predictor's name; all predictors have the same users
 * @param options.baseline whether Redis also holds the stored predictions that the baseline looks up
 */
export async function createLiveWorld(
  main: BenchServers,
  users: number,
  models: Readonly<Record<string, Buffer>>,
  { baseline = true }: { readonly baseline?: boolean } = {},
): Promise<LiveWorld> {
  const env = {
    DATABASE_URL: at(main.env.DATABASE_URL, DATABASE),
    REDIS_URL: at(main.env.REDIS_URL, KEYSPACE),
    QUEUE_REDIS_URL: at(main.env.QUEUE_REDIS_URL, KEYSPACE),
  };
  await main.pool.query(`create database ${DATABASE}`);
  await migrate(env.DATABASE_URL);
  const pool = createPool({ url: env.DATABASE_URL, max: 2, applicationName: 'bench', statementTimeoutMs: 600_000 });
  const servers = { ...main, env, pool };
  for (const [name, artifact] of Object.entries(models))
    await adoptPredictor(servers, { name, artifact, users, liveTimeoutMs: LIVE_TIMEOUT_MS });
  if (baseline) await fillBaseline(env.REDIS_URL, users);
  return {
    servers,
    storePredictions: (name) => storePredictions(servers, name),
    async changeEveryone() {
      await pool.query(
        `insert into tandem.events (user_id) select n::text from generate_series($1::int, $2::int) n order by n::text`,
        [FIRST_USER, FIRST_USER + users - 1],
      );
      await pool.query('vacuum analyze tandem.user_contexts');
      await pool.query('checkpoint');
    },
    async close() {
      await pool.end();
      await main.pool.query(`drop database ${DATABASE} with (force)`);
      await withRedis(env.REDIS_URL, (redis) => redis.flushdb());
      await withRedis(env.QUEUE_REDIS_URL, (redis) => redis.flushdb());
    },
  };
}

async function storePredictions(servers: BenchServers, name: string): Promise<void> {
  const api = await startApi(servers);
  const worker = await startWorker(servers);
  try {
    const tandem = createClient({ url: api.url });
    let run = await tandem.runs.start({ predictor: name, scope: 'all' });
    for await (run of tandem.runs.watch(run.id));
    if (run.state !== 'done') throw new Error(`the run ended as ${run.state}: ${run.error}`);
  } finally {
    await worker.stop();
    await api.stop();
  }
}

/** The stored predictions that the baseline finds. */
async function fillBaseline(url: string, users: number): Promise<void> {
  await withRedis(url, async (redis) => {
    for (let first = 0; first < users; first += 1_000) {
      const pipeline = redis.pipeline();
      for (let n = first; n < Math.min(users, first + 1_000); n++)
        pipeline.hset(`baseline:${FIRST_USER + n}`, { score: '0.5', version: '0' });
      await pipeline.exec();
    }
  });
}

async function withRedis(url: string, work: (redis: Redis) => Promise<unknown>): Promise<void> {
  const redis = new Redis(url);
  try {
    await work(redis);
  } finally {
    redis.disconnect();
  }
}

function at(url: string, path: string): string {
  const changed = new URL(url);
  changed.pathname = `/${path}`;
  return changed.href;
}
