/**
 * The batch job that a competent engineer would write in an afternoon with the same libraries, to be measured against:
 * one process that reads users in pages by key, the next one while it scores a page at once and writes it to Postgres and
 * Redis side by side. It cannot be resumed, has no generations, and knows nothing of events.
 *
 * Prints how many users it scored, in how many seconds and with how many of its own CPU, without its start and the loading
 * of the model.
 * Usage: node baseline-batch.ts <model file> <feature table> <users>
 */

import { Redis } from 'ioredis';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import pg from 'pg';
import { FEATURES } from './predictors.ts';

const PAGE_ROWS = 10_000;

const [model = '', table = '', limit = ''] = process.argv.slice(2);
const session = await InferenceSession.create(model);
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 4 });
const redis = new Redis(process.env.REDIS_URL ?? '');

/** An int8 comes as text, a float8 as a number. */
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
    // Flat: ioredis takes an object apart first, which was seen in the profile.
    pipeline.hset(`baseline_prediction:${row.user_id}`, 'score', scores[i] ?? 0, 'computedAt', computedAt);
  });
  await pipeline.exec();
}

await pool.query(
  'create table if not exists baseline_predictions (user_id bigint primary key, score real, computed_at timestamptz)',
);
await redis.ping();
const startedAt = performance.now();
const cpuBefore = process.cpuUsage();
let users = 0;
let next = readPage('0');
while (users < Number(limit)) {
  const rows = await next;
  if (rows.length === 0) break;
  next = readPage(rows.at(-1)?.user_id ?? '');
  const scores = await score(rows);
  await Promise.all([writePostgres(rows, scores), writeRedis(rows, scores)]);
  users += rows.length;
}
const { user, system } = process.cpuUsage(cpuBefore);
const cpuSeconds = (user + system) / 1e6;
console.log(JSON.stringify({ users, seconds: (performance.now() - startedAt) / 1000, cpuSeconds }));
// The page that was read for nothing.
await next;
redis.disconnect();
await pool.end();
