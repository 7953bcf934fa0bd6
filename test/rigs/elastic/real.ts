/**
 * Checks the simulation. `tandem worker --autoscale` runs on real servers under a load drawn from a seed. The same load
 * is simulated with the measured speed and start time. Reading a user takes time but hardly any CPU, so that more
 * workers are faster on any machine. Exits with 1 if a run did not end, workers are left, or cost or lateness differ by
 * more than `TOLERANCE`.
 */
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { createRunStore } from '@tandem/offline-store/runs/run-store';
import { type BenchServers, startServers } from '../bench/service.ts';
import { MOST_SEED, readCommandLine, wholeNumber } from '../command-line.ts';
import { type Load, trialOf } from './load.ts';
import { type Result, simulate } from './simulate.ts';
import { adoptSlow, CHUNKS_AT_ONCE, countWorkers, startWorkers, USER_SECONDS } from './slow-users.ts';

const HELP = `node scripts/run.mjs test/rigs/elastic/real.ts [options]
  --minutes 60   the length of the load
  --seed 1       of the load
`;

const OPTIONS = { minutes: { type: 'string', default: '60' }, seed: { type: 'string', default: '1' } } as const;

const { seconds, seed } = readCommandLine(HELP, OPTIONS, (values) => ({
  seconds: 60 * wholeNumber('minutes', values.minutes, 1, 1_440),
  seed: wholeNumber('seed', values.seed, 0, MOST_SEED),
}));

const STAFF = { min: 0, max: 4, holdSeconds: 20 };
/**
 * The tolerance for the cost and for the time of the median run. It allows for one worker more or less for some
 * seconds.
 */
const TOLERANCE = 0.25;

interface Measured extends Result {
  readonly startSeconds: number;
}

async function playLoad(servers: BenchServers, { runs }: Load): Promise<Measured> {
  const store = createRunStore(servers.pool);
  const autoscaler = startWorkers(servers, STAFF);
  const begin = performance.now();
  const since = () => (performance.now() - begin) / 1_000;
  const asked: string[] = [];
  let [cost, before, falls] = [0, 0, 0];
  let firstWorkerAt: Date | undefined;
  for (let second = 0; since() < seconds; second++) {
    for (let run = runs[asked.length]; run && run.at <= since(); run = runs[asked.length]) {
      const scope = { kind: 'all' as const };
      asked.push(
        (await store.create({ predictor: run.predictor, scope, reason: 'elastic', scheduleSlot: null })).run.id,
      );
    }
    const workers = countWorkers(autoscaler);
    if (workers > 0) firstWorkerAt ??= new Date();
    if (workers < before) falls++;
    cost += workers;
    before = workers;
    await pause(Math.max(0, 1_000 * (second + 1 - since())));
  }
  const left = countWorkers(autoscaler);
  autoscaler.kill('SIGTERM');
  await once(autoscaler, 'exit');
  if (left > 0) throw new Error(`${left} workers are left although no work waits`);
  return { ...(await summary(servers, asked, firstWorkerAt)), cost, falls };
}

async function summary({ pool }: BenchServers, asked: readonly string[], firstWorkerAt?: Date) {
  const { rows } = await pool.query<{ state: string; seconds: number; predictor: string }>({
    text: `select state, predictor, extract(epoch from finished_at - created_at)::float8 as seconds
      from tandem.runs where id = any($1::uuid[]) order by created_at`,
    values: [asked],
  });
  const bad = rows.filter(({ state }) => state !== 'done');
  if (bad.length > 0) throw new Error(`not every run is done: ${JSON.stringify(bad)}`);
  const first = await pool.query<{ at: Date }>('select min(claimed_at) as at from tandem.chunks');
  const times = rows.map((run) => run.seconds).toSorted((a, b) => a - b);
  const late = times.filter((time) => time > 60);
  return {
    runs: rows.length,
    late: late.length,
    latest: Math.max(0, ...late.map((time) => time - 60)),
    medianSeconds: times[times.length >> 1] ?? 0,
    startSeconds: ((first.rows[0]?.at.getTime() ?? 0) - (firstWorkerAt?.getTime() ?? 0)) / 1_000,
  };
}

function compare(real: Measured, simulated: Result): boolean {
  console.log('|                   |   real | simulated |\n| ----------------- | -----: | --------: |');
  for (const name of ['runs', 'cost', 'late', 'latest', 'medianSeconds', 'falls'] as const) {
    console.log(
      `| ${name.padEnd(17)} | ${real[name].toFixed(0).padStart(6)} | ${simulated[name].toFixed(0).padStart(9)} |`,
    );
  }
  console.log(`\nthe first worker claimed a chunk ${real.startSeconds.toFixed(1)} s after it was started`);
  return (['cost', 'medianSeconds'] as const).every((name) => Math.abs(real[name] / simulated[name] - 1) <= TOLERANCE);
}

const usersPerSecond = CHUNKS_AT_ONCE / USER_SECONDS;
const load = trialOf(seed, seconds, usersPerSecond);
const servers = await startServers();
try {
  await adoptSlow(servers, load.runs);
  const real = await playLoad(servers, load);
  const worker = { usersPerSecond, lossByCompany: 0, startSeconds: Math.round(real.startSeconds), stepSeconds: 1 };
  if (!compare(real, simulate(load, worker, STAFF))) process.exitCode = 1;
} finally {
  await servers.stop();
}
