/**
 * The baseline of batch runs: the job that a competent engineer would write in an afternoon with the same libraries.
 * One process takes users in pages by key. It reads a page, scores it in one run, upserts it in one statement and writes
 * it to Redis in one pipeline; then it takes the next page. It cannot be resumed, has no generations, and ignores events.
 *
 * With `overlapped` the job has the result of a week of tuning: it reads the next page while
 * it scores the current one, and writes Postgres and Redis in parallel.
 *
 * Prints the number of users scored, the seconds that it took and the seconds of CPU that the process used. Neither
 * time includes the start of the process and the loading of the model. Usage: node baseline-batch.ts <model file>
 * <feature table> <users> plain|overlapped
 */

import { Redis } from 'ioredis';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import pg from 'pg';
import { FEATURES } from './predictors.ts';

const PAGE_ROWS = 10_000;

const [model = '', table = '', limit = '', manner = 'plain'] = process.argv.slice(2);
const session = await InferenceSession.create(model);
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 4 });
// A separate Redis database, emptied at the end, so that these keys do not affect later measurements.
const redis = new Redis(process.env.REDIS_URL ?? '', { db: 1 });

/** A row of the feature table. The driver returns an int8 as text and a float8 as a number. */
type Row = Readonly<Record<string, string | number>> & { readonly user_id: string };

async function readPage(after: string): Promise<Row[]> {
  const { rows } = await pool.query<Row>({
    name: 'page',
    text: `select user_id, ${FEATURES.join(', ')} from ${table} where user_id > $1 order by user_id limit ${PAGE_ROWS}`,
    values: [after],
  });
  return rows;
}

async function score(rows: readonly Row[]): Promise<Float32Array> {
  const features = new Float32Array(rows.length * FEATURES.length);
  rows.forEach((row, i) => {
    FEATURES.forEach((name, j) => {
      features[i * FEATURES.length + j] = Number(row[name]);
    });
  });
  const { score: scores } = await session.run({
    features: new Tensor('float32', features, [rows.length, FEATURES.length]),
  });
  return scores?.data as Float32Array;
}

async function writePostgres(rows: readonly Row[], scores: Float32Array): Promise<void> {
  await pool.query({
    name: 'write',
    text: `insert into baseline_predictions (user_id, score, computed_at)
      select user_id, score, now() from unnest($1::bigint[], $2::float4[]) as t (user_id, score)
      on conflict (user_id) do update set score = excluded.score, computed_at = excluded.computed_at`,
    values: [rows.map((row) => row.user_id), Array.from(scores)],
  });
}

async function writeRedis(rows: readonly Row[], scores: Float32Array): Promise<void> {
  const pipeline = redis.pipeline();
  const computedAt = Date.now();
  rows.forEach((row, i) => {
    // A flat list, because a CPU profile showed that ioredis spends time on flattening an object.
    pipeline.hset(`baseline_prediction:${row.user_id}`, 'score', scores[i] ?? 0, 'computedAt', computedAt);
  });
  await pipeline.exec();
}

/** Scores whole pages until the limit, and returns the number of users scored. */
async function scorePlainly(limit: number): Promise<number> {
  let users = 0;
  let last = '0';
  while (users < limit) {
    const rows = await readPage(last);
    if (rows.length === 0) break;
    const scores = await score(rows);
    await writePostgres(rows, scores);
    await writeRedis(rows, scores);
    users += rows.length;
    last = rows.at(-1)?.user_id ?? '';
  }
  return users;
}

async function scoreOverlapped(limit: number): Promise<number> {
  let users = 0;
  let next = readPage('0');
  while (users < limit) {
    const rows = await next;
    if (rows.length === 0) break;
    users += rows.length;
    if (users < limit) next = readPage(rows.at(-1)?.user_id ?? '');
    const scores = await score(rows);
    await Promise.all([writePostgres(rows, scores), writeRedis(rows, scores)]);
  }
  return users;
}

await pool.query(
  'create table if not exists baseline_predictions (user_id bigint primary key, score real, computed_at timestamptz)',
);
await redis.ping();
const startedAt = performance.now();
const cpuBefore = process.cpuUsage();
const users = manner === 'overlapped' ? await scoreOverlapped(Number(limit)) : await scorePlainly(Number(limit));
const { user, system } = process.cpuUsage(cpuBefore);
const cpuSeconds = (user + system) / 1e6;
console.log(JSON.stringify({ users, seconds: (performance.now() - startedAt) / 1000, cpuSeconds }));
await redis.flushdb();
redis.disconnect();
await pool.end();
