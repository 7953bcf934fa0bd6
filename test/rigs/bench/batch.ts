/**
 * Measures batch runs: users per second from the request until the new generation is published and loaded into Redis.
 * Compares this rate with a plain script and with the upper limit that the cores allow. Also measures the memory of the
 * processes and of Redis.
 *
 * One worker runs with its defaults. Each round runs all users, a tenth of the users, and the scripts, so that each
 * ratio compares measurements taken close together.
 */
import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { type Client, createClient } from '@tandem/client/create-client';
import { cpuSecondsOf, watchPeaks } from './process-usage.ts';
import { bytesPerLongId, redisBytes } from './redis-memory.ts';
import {
  adoptTrees,
  boostedTrees,
  openWorkerParts,
  type RunPhases,
  runEveryone,
  type WorkerParts,
} from './run-everyone.ts';
import { type BenchOptions, type Figure, figureOf, type Section } from './section.ts';
import { type BenchServers, type Program, runProgram, startApi, startWorker } from './service.ts';
import { measureStages, type StageCosts } from './stages.ts';

/** The predictor over all users. */
export const MANY = 'many';
/** The predictor over a tenth of the users. */
const TENTH = 'tenth';
/** The predictor whose stages are timed. It has a tenth of the users, at most `MOST_STAGED`. */
const STAGED = 'staged';
const MOST_STAGED = 300_000;

interface Bench {
  readonly servers: BenchServers;
  readonly options: BenchOptions;
  readonly parts: WorkerParts;
  readonly say: (line: string) => void;
}

export const batch: Section = {
  name: 'batch',
  async measure(servers, options, say) {
    say(`making ${options.manyUsers} users`);
    await adoptTrees(servers, TENTH, Math.ceil(options.manyUsers / 10));
    await adoptTrees(servers, STAGED, Math.min(MOST_STAGED, Math.ceil(options.manyUsers / 10)));
    await adoptTrees(servers, MANY, options.manyUsers);
    const parts = await openWorkerParts(servers);
    try {
      const bench = { servers, options, parts, say };
      const { rounds, figures } = await measureRuns(bench);
      const ideal = await measureIdeal(bench, rounds);
      return [...figures, ...ideal, await longIdFigure(bench)];
    } finally {
      await parts.close();
    }
  },
};

interface ScriptCost {
  /** Users/s. */
  readonly rate: number;
  /** µs of CPU per user: script, Postgres and Redis together. */
  readonly cpuMicros: number;
}

/** The measurements of one round; rates in users/s. */
interface Round {
  readonly publishedRate: number;
  readonly loadedRate: number;
  readonly phases: RunPhases;
  /** The time of a run of all users, divided by the time of a run of a tenth. */
  readonly tenthRatio: number;
  readonly script: ScriptCost;
  /** The script that reads and writes in parallel. */
  readonly overlapped: ScriptCost;
  /** µs of CPU per user: worker, Postgres and Redis together. */
  readonly cpuMicros: number;
  readonly redisBytesPerUser: number;
}

async function measureRuns(bench: Bench): Promise<{ rounds: readonly Round[]; figures: readonly Figure[] }> {
  const { servers, options, parts, say } = bench;
  const api = await startApi(servers);
  const worker = await startWorker(servers);
  try {
    const tandem = createClient({ url: api.url });
    say('warming up');
    await runEveryone(bench.servers, tandem, parts, TENTH);
    const [peaks, apiPeaks] = [watchPeaks(worker.pid), watchPeaks(api.pid)];
    const rounds: Round[] = [];
    for (let no = 1; no <= options.rounds; no++) {
      rounds.push(await measureRound(bench, tandem, worker));
      say(`round ${no} of ${options.rounds}: ${Math.round(rounds.at(-1)?.loadedRate ?? 0)} users/s`);
    }
    const { rootMb, childMb } = peaks.stop();
    const { rootMb: apiMb } = apiPeaks.stop();
    const memory = [
      figureOf('memory peak of the worker', 'MB', [rootMb], { most: 400 }),
      figureOf('memory peak of an inference child', 'MB', [childMb], { most: 400 }),
      figureOf('memory peak of the API', 'MB', [apiMb], { most: 400 }),
    ];
    return { rounds, figures: [...runFigures(rounds, options), ...memory] };
  } finally {
    await worker.stop();
    await api.stop();
  }
}

async function measureRound({ servers, options, parts }: Bench, tandem: Client, worker: Program): Promise<Round> {
  const { manyUsers } = options;
  const scriptUsers = Math.min(MOST_SCRIPTED, Math.ceil(manyUsers / 4));
  const involved = [worker.pid, ...Object.values(servers.pids)];
  const [cpuBefore, bytesBefore] = [cpuSecondsOf(involved), await redisBytes(servers)];
  const many = await runEveryone(servers, tandem, parts, MANY);
  const [cpu, bytes] = [cpuSecondsOf(involved) - cpuBefore, (await redisBytes(servers)) - bytesBefore];
  const tenth = await runEveryone(servers, tandem, parts, TENTH);
  return {
    publishedRate: manyUsers / many.publishedSeconds,
    loadedRate: manyUsers / many.loadedSeconds,
    phases: many.phases,
    tenthRatio: many.loadedSeconds / tenth.loadedSeconds,
    script: await measureScript(servers, scriptUsers, 'plain'),
    overlapped: await measureScript(servers, scriptUsers, 'overlapped'),
    cpuMicros: (cpu * 1e6) / manyUsers,
    redisBytesPerUser: bytes / manyUsers,
  };
}

/**
 * The most users for the script. Its rate hardly depends on their number: 44,748 users/s with 10,000,000, 44,849 with
 * 1,000,000.
 */
const MOST_SCRIPTED = 2_500_000;

/**
 * Measures the script on an empty table, which favours the script: in production it would find yesterday's rows. The
 * table is dropped at once, because otherwise its vacuum would run during the next measurement.
 */
async function measureScript(
  servers: BenchServers,
  users: number,
  manner: 'plain' | 'overlapped',
): Promise<ScriptCost> {
  const model = join(servers.folder, 'trees.onnx');
  await writeFile(model, boostedTrees());
  await servers.pool.query('drop table if exists baseline_predictions');
  const { postgres, redis } = servers.pids;
  const cpuBefore = cpuSecondsOf([postgres, redis]);
  const args = [model, `${MANY}_features`, `${users}`, manner];
  const output = await runProgram(servers, ['test/rigs/bench/baseline-batch.ts', ...args]);
  const cpuOfServers = cpuSecondsOf([postgres, redis]) - cpuBefore;
  await servers.pool.query('drop table baseline_predictions');
  const report: { users: number; seconds: number; cpuSeconds: number } = JSON.parse(output);
  if (report.users < users) throw new Error(`the script scored ${report.users} of ${users} users`);
  const cpuMicros = ((report.cpuSeconds + cpuOfServers) * 1e6) / report.users;
  return { rate: report.users / report.seconds, cpuMicros };
}

function runFigures(rounds: readonly Round[], { manyUsers }: BenchOptions): Figure[] {
  const of = (give: (round: Round) => number) => rounds.map(give);
  const many = manyUsers.toLocaleString('en');
  const tenth = Math.ceil(manyUsers / 10).toLocaleString('en');
  const script = 'batch script (page, model, unnest, pipeline, next page)';
  const overlapped = 'batch script, overlapped (reads ahead, writes side by side)';
  return [
    figureOf(
      `run of ${many} users, 200 trees: request to published and loaded`,
      'users/s',
      of((r) => r.loadedRate),
    ),
    figureOf(
      'the same: request to published',
      'users/s',
      of((r) => r.publishedRate),
    ),
    figureOf(
      'its phases: plan',
      's',
      of((r) => r.phases.plan),
    ),
    figureOf(
      'chunks',
      's',
      of((r) => r.phases.chunks),
    ),
    figureOf(
      'index, comparison, publication',
      's',
      of((r) => r.phases.publish),
    ),
    figureOf(
      'then until loaded',
      's',
      of((r) => r.phases.load),
    ),
    figureOf(
      script,
      'users/s',
      of((r) => r.script.rate),
    ),
    figureOf(
      'run / batch script',
      'ratio',
      of((r) => r.loadedRate / r.script.rate),
      { least: 2 },
    ),
    figureOf(
      overlapped,
      'users/s',
      of((r) => r.overlapped.rate),
    ),
    figureOf(
      'run / batch script, overlapped',
      'ratio',
      of((r) => r.loadedRate / r.overlapped.rate),
    ),
    figureOf(
      `time of ${many} users / of ${tenth}`,
      'ratio',
      of((r) => r.tenthRatio),
      { most: 11 },
    ),
    figureOf(
      'run: CPU a user, all processes',
      'µs',
      of((r) => r.cpuMicros),
    ),
    figureOf(
      'batch script: CPU a user, all processes',
      'µs',
      of((r) => r.script.cpuMicros),
    ),
    // Only the first round counts: in later rounds retention may drop an older generation during the run.
    figureOf('Redis a user, ids of 8 digits', 'bytes', of((r) => r.redisBytesPerUser).slice(0, 1), { most: 40 }),
  ];
}

/** Measures the stages. The worker must have ended; otherwise it would claim the chunks. */
async function measureIdeal(bench: Bench, rounds: readonly Round[]): Promise<Figure[]> {
  const { servers, options, parts, say } = bench;
  const costs: StageCosts[] = [];
  // Round 0 warms up.
  for (let no = 0; no <= options.rounds; no++) costs.push(await measureStages(servers, parts, STAGED));
  const measured = costs.slice(1);
  say('measured the stages one by one');
  const of = (give: (one: StageCosts) => number) => measured.map(give);
  const perSecond = (micros: number) => (availableParallelism() * 1e6) / micros;
  const ideals = of(({ read, score, writePostgres, writeRedis }) =>
    perSecond(read + score + writePostgres + writeRedis),
  );
  const ideal = figureOf('CPU-limited ideal: cores / CPU of these four', 'users/s', ideals);
  const shares = rounds.map((round) => round.loadedRate / ideal.value);
  return [
    figureOf(
      'stage: read features',
      'µs',
      of((one) => one.read),
    ),
    figureOf(
      'stage: score',
      'µs',
      of((one) => one.score),
    ),
    figureOf(
      'stage: write Postgres',
      'µs',
      of((one) => one.writePostgres),
    ),
    figureOf(
      'stage: write Redis',
      'µs',
      of((one) => one.writeRedis),
    ),
    ideal,
    figureOf('run / CPU-limited ideal', 'ratio', shares, { least: 0.8 }),
    figureOf(
      'beside them: index, check and publish',
      'µs',
      of((one) => one.publish),
    ),
  ];
}

async function longIdFigure({ servers, options, parts }: Bench): Promise<Figure> {
  const bytes = await bytesPerLongId(servers, parts, Math.ceil(options.manyUsers / 10));
  return figureOf('Redis a user, ids of 36 characters', 'bytes', [bytes]);
}
