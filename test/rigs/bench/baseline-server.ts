/**
 * The baseline of cached reads, which a competent engineer would write in an afternoon. With `hmget`, a Hono handler
 * finds a user's prediction with one HMGET and checks nothing. With `hmget+pg`, the handler also makes one primary-key
 * query on Postgres. Prints its port. Usage: node baseline-server.ts hmget|hmget+pg
 */
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { Redis } from 'ioredis';
import pg from 'pg';

const withPostgres = process.argv[2] === 'hmget+pg';
const redis = new Redis(process.env.REDIS_URL ?? '', { enableAutoPipelining: true });
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });

async function find(userId: string): Promise<object> {
  const [score, version] = await redis.hmget(`baseline:${userId}`, 'score', 'version');
  return { userId, prediction: { score: Number(score) }, contextVersion: Number(version) };
}

async function check(userId: string): Promise<unknown> {
  const { rows } = await pool.query({
    name: 'check',
    text: 'select version from baseline where user_id = $1',
    values: [userId],
  });
  return rows[0];
}

const app = new Hono();
app.get('/v1/predictions/:predictor/:userId', async (c) => {
  const userId = c.req.param('userId');
  const [answer] = await Promise.all([find(userId), withPostgres ? check(userId) : null]);
  return c.json(answer);
});
serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => console.log(port));
