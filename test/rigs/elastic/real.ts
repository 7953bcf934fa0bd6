/**
 * The check of the simulation: `tandem worker --autoscale` on real servers, under a load drawn from a seed, beside the same load
 * simulated with the speed and the start that were measured. Users take time to read and hardly any CPU, so that workers add up
 * on any machine. Ends with 1 where a run did not end, workers are left, or cost or lateness differ by more than `TOLERANCE`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { adopt } from '@tandem/offline-store/adopt';
import { createRunStore } from '@tandem/offline-store/runs/run-store';
import { predictorOf } from '../../../apps/worker/worker.fixture.ts';
import { type BenchServers, startServers } from '../bench/service.ts';
import { type Load, trialOf } from './load.ts';
import { type Result, simulate } from './simulate.ts';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '60' }, seed: { type: 'string', default: '1' } },
});
const seconds = 60 * Number(values.minutes);

const USER_SECONDS = 0.1;
const CHUNKS_AT_ONCE = 3;
const STAFF = { min: 0, max: 4, holdSeconds: 20 };
/** Of cost, and of the time of the median run: a worker more or less for some seconds. */
const TOLERANCE = 0.25;
const MAIN = resolve(import.meta.dirname, '../../../apps/cli/main.ts');

async function createPredictors({ pool }: BenchServers, { runs }: Load): Promise<void> {
  const most = Math.max(...runs.map(({ users }) => users));
  // Stable, so that a plan, which needs the keys alone, does not call it.
  await pool.query(`
    create function slowly(n bigint) returns float8 language plpgsql stable as
      'begin perform pg_sleep(${USER_SECONDS}); return n; end';
    create table people (id bigint primary key);
    insert into people select generate_series(1, ${most});
    create view customers as select id, slowly(id) as recency, 1 as orders from people;
    analyze people`);
  const predictors = runs.map(({ predictor: name, users }) =>
    predictorOf({ users, chunkSize: 20, name, where: `id <= ${users}` }),
  );
  await adopt(pool, { actor: 'elastic', predictors });
}

interface Measured extends Result {
  readonly startSeconds: number;
}

function startAutoscaler({ env }: BenchServers) {
  const args = [MAIN, 'worker', '--autoscale', `${STAFF.min}..${STAFF.max}`, '--hold', String(STAFF.holdSeconds)];
  // Four workers fit the stock limit of Postgres.
  const sizes = { DATABASE_CONNECTIONS: '22', CHUNK_CONCURRENCY: String(CHUNKS_AT_ONCE), INFERENCE_PROCESSES: '1' };
  const own = { ...process.env, ...env, ...sizes, RUN_DEADLINE_MINUTES: '1' };
  const child = spawn(process.execPath, args, { env: own, stdio: ['ignore', 'ignore', 'pipe'] });
  child.stderr.on('data', (lines: Buffer) => process.stderr.write(lines));
  return child;
}

/** Direct children: the workers, also those that start or end. */
function countChildren(pid: number): number {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).length;
}

async function playLoad(servers: BenchServers, { runs }: Load): Promise<Measured> {
  const store = createRunStore(servers.pool);
  const autoscaler = startAutoscaler(servers);
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
    const workers = countChildren(autoscaler.pid ?? 0);
    if (workers > 0) firstWorkerAt ??= new Date();
    if (workers < before) falls++;
    cost += workers;
    before = workers;
    await pause(Math.max(0, 1_000 * (second + 1 - since())));
  }
  const left = countChildren(autoscaler.pid ?? 0);
  autoscaler.kill('SIGTERM');
  await once(autoscaler, 'exit');
  if (left > 0) throw new Error(`${left} workers are left where nothing waits`);
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
const load = trialOf(Number(values.seed), seconds, usersPerSecond);
const servers = await startServers();
try {
  await createPredictors(servers, load);
  const real = await playLoad(servers, load);
  const worker = { usersPerSecond, lossByCompany: 0, startSeconds: Math.round(real.startSeconds), stepSeconds: 2 };
  if (!compare(real, simulate(load, worker, STAFF))) process.exitCode = 1;
} finally {
  await servers.stop();
}
