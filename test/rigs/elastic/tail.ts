/**
 * Measures how long the last chunk of a run continues after the median worker has no more work, with three workers. The
 * first run has chunks of the largest size, the second has chunks sized by the times of the first run. Exits with 1 if
 * this time is more than the share `MOST` of the run.
 */
import { once } from 'node:events';
import { createRunStore } from '@tandem/offline-store/runs/run-store';
import { until } from '../../e2e/until.fixture.ts';
import { type BenchServers, startServers } from '../bench/service.ts';
import { adoptSlow, CHUNKS_AT_ONCE, countWorkers, startWorkers, USER_SECONDS } from './slow-users.ts';

const WORKERS = 3;
const SECONDS = 60;
const USERS = (WORKERS * CHUNKS_AT_ONCE * SECONDS) / USER_SECONDS;
const MOST = 0.05;

const TAIL = `
  select count(*)::int as workers, extract(epoch from max(ended) - min(begun))::float8 as seconds,
    extract(epoch from max(ended) - percentile_disc(0.5) within group (order by ended))::float8 as tail, sum(chunks)::int as chunks
  from (select min(claimed_at) as begun, max(committed_at) as ended, count(*) as chunks
    from tandem.chunks where run_id = $1 group by worker) w`;

async function measureTail({ pool }: BenchServers): Promise<number> {
  const runs = createRunStore(pool);
  const asked = { predictor: 'slow', scope: { kind: 'all' as const }, reason: 'elastic', scheduleSlot: null };
  const { run } = await runs.create(asked);
  await until('the run has ended', async () => (await runs.find(run.id))?.finishedAt, 10_000 * SECONDS);
  const { rows } = await pool.query<Record<'workers' | 'seconds' | 'tail' | 'chunks', number>>({
    text: TAIL,
    values: [run.id],
  });
  const [{ workers = 0, seconds = 0, tail = 0, chunks = 0 } = {}] = rows;
  const share = tail / seconds;
  const percent = (100 * share).toFixed(1);
  console.log(
    `${workers} workers, ${chunks} chunks, ${seconds.toFixed(1)} s: the last chunk ended ${tail.toFixed(2)} s (${percent} %) after the median worker`,
  );
  return share;
}

const servers = await startServers();
try {
  await adoptSlow(servers, [{ predictor: 'slow', users: USERS }]);
  const workers = startWorkers(servers, { min: WORKERS, max: WORKERS, holdSeconds: 300 });
  await until('the workers are started', () => countWorkers(workers) === WORKERS);
  await measureTail(servers);
  if ((await measureTail(servers)) > MOST) process.exitCode = 1;
  workers.kill('SIGTERM');
  await once(workers, 'exit');
} finally {
  await servers.stop();
}
