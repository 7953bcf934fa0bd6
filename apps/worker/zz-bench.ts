import { mkdtemp } from 'node:fs/promises';
import { createPool } from '@tandem/offline-store/database';
import { createRunStore } from '@tandem/offline-store/run-store';
import { createTemplateDatabase } from '@tandem/testing/databases';
import { startRedis } from '@tandem/local-servers/redis';
import { createQueue } from '@tandem/queue/enqueue';
import { silentLog } from '@tandem/telemetry/log';
import { adoptCustomers, startWorkerProcess } from './worker-fixtures.ts';
const redis = await startRedis({ dataDir: await mkdtemp('/tmp/w6/redis-'), log: () => {} });
const db = await createTemplateDatabase('postgres://postgres:x@127.0.0.1:54399/postgres');
const pool = createPool({ url: db.url, applicationName: 'bench' });
const USERS = Number(process.env.USERS ?? 100000);
await adoptCustomers(pool, { users: USERS, chunkSize: Number(process.env.CHUNK ?? 5000) });
const queue = await createQueue({ url: redis.url, log: silentLog });
const runs = createRunStore(pool);
for (const n of [1, 1, 2, 2]) {
  const workers = Array.from({ length: n }, () => startWorkerProcess({ DATABASE_URL: db.url, REDIS_URL: redis.url }));
  await Promise.all(workers.map((w) => w.until('worker.started')));
  const t = performance.now();
  const { run } = await runs.create({ predictor: 'customers', scope: { kind: 'all' }, reason: 'bench', scheduleSlot: null });
  await queue.enqueue('plan-run', { runId: run.id });
  for (;;) { const r = await runs.find(run.id); if (r?.finishedAt) { console.log(n, 'workers', r.state, r.usersScored, 'total s', ((performance.now() - t) / 1000).toFixed(2), 'run s', (r.finishedAt.getTime() - (r.startedAt?.getTime() ?? 0)) / 1000, 'error', r.error); break; } await new Promise((f) => setTimeout(f, 20)); }
  await new Promise((f) => setTimeout(f, 4000));
  const chunks = workers.flatMap((w) => w.lines.filter((l) => l.job === 'run-chunk' && l.outcome === 'committed'));
  const avg = (k: string) => (chunks.reduce((s, c) => s + Number(c[k]), 0) / chunks.length).toFixed(1);
  console.log('chunks', chunks.length, 'read', avg('readMs'), 'score', avg('scoreMs'), 'commit', avg('commitMs'), 'load', avg('loadMs'), 'duration', avg('durationMs'));
  console.log(workers.map((w) => w.lines.filter((l) => l.job !== 'run-chunk').map((l) => `${l.event} ${l.job ?? ''} ${l.outcome ?? ''} ${l.durationMs ?? ''} ${JSON.stringify(l.errors ?? '')}`)).flat().slice(0, 14).join('\n'));
  console.log('dup jobs', workers.flatMap((w) => w.lines.filter((l) => l.job === 'run-chunk' && l.outcome === 'nothing_to_do')).length);
  for (const w of workers) { w.kill('SIGTERM'); console.log('exit', await w.ended); }
}
await queue.close(); await pool.end(); await db.drop(); await redis.stop();
