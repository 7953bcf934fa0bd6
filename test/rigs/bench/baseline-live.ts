/**
 * The baseline of live reads: a bare Hono handler that finds a user's stored prediction with one HMGET and the user's
 * features with one primary-key query. Without a model it infers nothing and answers with the stored score. With a
 * model it runs the model on the features in its own process. Prints its port.
 * Usage: node baseline-live.ts [<model.onnx>]
 */
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { Redis } from 'ioredis';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import pg from 'pg';
import { FEATURES } from './predictors.ts';

type Features = Readonly<Record<string, number>>;

const modelPath = process.argv[2];
const session =
  modelPath === undefined
    ? null
    : await InferenceSession.create(modelPath, { intraOpNumThreads: 1, interOpNumThreads: 1 });
const redis = new Redis(process.env.REDIS_URL ?? '', { enableAutoPipelining: true });
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });

async function readFeatures(userId: string): Promise<Features | undefined> {
  const { rows } = await pool.query<Features>({
    name: 'features',
    text: 'select * from fast_features where user_id = $1',
    values: [userId],
  });
  return rows[0];
}

async function infer(model: InferenceSession, features: Features): Promise<number> {
  const values = Float32Array.from(FEATURES, (name) => features[name] ?? 0);
  const { score } = await model.run({ features: new Tensor('float32', values, [1, FEATURES.length]) }, ['score']);
  return Number(score?.data[0]);
}

const app = new Hono();
app.get('/v1/predictions/:predictor/:userId', async (c) => {
  const userId = c.req.param('userId');
  const [[stored, version], features] = await Promise.all([
    redis.hmget(`baseline:${userId}`, 'score', 'version'),
    readFeatures(userId),
  ]);
  if (!features) return c.notFound();
  const score = session ? await infer(session, features) : Number(stored);
  return c.json({ userId, prediction: { score }, contextVersion: Number(version) });
});
serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => console.log(port));
