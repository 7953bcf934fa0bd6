/**
 * Measures live reads, 64 at once. After a read arrives, the service reads features and the context version from
 * Postgres, infers and answers.
 *
 * There are two models. `slow` takes 1 ms for one user, most of it to read the weights, which a batch of many users
 * reads once. `fast` takes 0.02 ms. The cost of a batch by its number of users is printed, because the gain of batching
 * depends on the model: batching gains nothing if the cost is linear in the users.
 *
 * The baseline of `slow` is the same service with one inference in flight at a time, INFERENCE_BATCH_LIMIT=1. `fast` has
 * two baselines (baseline-live.ts): a handler that reads the features with one query and does not infer, and a handler that
 * also runs the model. Neither baseline knows versions, checks freshness or stores its answer.
 *
 * Rounds alternate between the targets, and each ratio compares measurements of one round. The CPU per read of all processes
 * (service, inference child, Postgres, Redis) is printed beside the rate; other work on the machine hardly changes it.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { createLiveWorld, type LiveWorld } from './live-world.ts';
import { type LoadResult, load } from './load.ts';
import { type CostCurve, modelOfCost } from './model-cost.ts';
import { FIRST_USER } from './predictors.ts';
import { cpuSecondsOf } from './process-usage.ts';
import { type BenchOptions, type Figure, figureOf, type Target as Goal, type Section } from './section.ts';
import { type BenchProcess, startApi, startListener } from './service.ts';

const CONNECTIONS = 64;
/** The time after which Postgres has the copies of the last live answers. Their CPU is part of the cost of a read. */
const COPIED_AFTER_MS = 1_000;
/**
 * The share of reads that may fail. If other work takes the CPU for a quarter of a second, Postgres does not certify in
 * time.
 */
const MOST_FAILED = 0.01;
const ONE_PROCESS = { INFERENCE_PROCESSES: '1' };
const ONE_AT_A_TIME = { ...ONE_PROCESS, INFERENCE_BATCH_LIMIT: '1' };

/** Reads of one kind on one server. */
interface Target {
  readonly name: string;
  readonly server: BenchProcess;
  readonly predictor: string;
  /** Whether each read demands an inference. If not, events must have made the users stale. */
  readonly demands: boolean;
  /** Whether the server infers; if so, each of its answers must be live. */
  readonly infers: boolean;
}

export const live: Section = {
  name: 'live',
  async measure(servers, options, say) {
    const slow = await modelOfCost(1, 3);
    const fast = await modelOfCost(0.02, 2);
    for (const [name, curve] of Object.entries({ slow, fast })) say(`${name} model: ${describe(curve)}`);
    const world = await createLiveWorld(servers, options.users, { slow: slow.model, fast: fast.model });
    try {
      await world.storePredictions('fast');
      const modelPath = join(servers.folder, 'fast.onnx');
      await writeFile(modelPath, fast.model);
      return figures(await measureAll(world, modelPath, options, say));
    } finally {
      await world.close();
    }
  },
};

async function measureAll(world: LiveWorld, modelPath: string, options: BenchOptions, say: (line: string) => void) {
  const processes: BenchProcess[] = [];
  const opened = async (starting: Promise<BenchProcess>) => {
    const one = await starting;
    processes.push(one);
    return one;
  };
  try {
    const batched = await opened(startApi(world.servers, ONE_PROCESS));
    const single = await opened(startApi(world.servers, ONE_AT_A_TIME));
    const query = await opened(startListener(world.servers, ['test/rigs/bench/baseline-live.ts']));
    const inferring = await opened(startListener(world.servers, ['test/rigs/bench/baseline-live.ts', modelPath]));
    const targets: Target[] = [
      { name: 'slow, one at a time', server: single, predictor: 'slow', demands: true, infers: true },
      { name: 'slow', server: batched, predictor: 'slow', demands: true, infers: true },
      { name: 'HMGET + query', server: query, predictor: 'fast', demands: true, infers: false },
      { name: 'HMGET + query + run', server: inferring, predictor: 'fast', demands: true, infers: false },
      { name: 'fast', server: batched, predictor: 'fast', demands: true, infers: true },
      { name: 'fast, after events', server: batched, predictor: 'fast', demands: false, infers: true },
    ];
    return await measureRounds(world, targets, options, say);
  } finally {
    for (const one of processes.reverse()) await one.stop();
  }
}

async function measureRounds(
  world: LiveWorld,
  targets: readonly Target[],
  { users, rounds, seconds }: BenchOptions,
  say: (line: string) => void,
): Promise<Map<string, LiveLoad[]>> {
  const results = new Map<string, LiveLoad[]>();
  // Round 0 warms up.
  for (let round = 0; round <= rounds; round++) {
    for (const target of targets) {
      if (!target.demands) await world.changeEveryone();
      const result = await loadLive(world, target, { users, seconds });
      if (round > 0) results.set(target.name, [...(results.get(target.name) ?? []), result]);
      say(
        `live ${round}: ${target.name.padEnd(20)} ${Math.round(result.requestsPerSecond)} reads/s   p50 ${result.p50Ms.toFixed(1)} ms   p99 ${result.p99Ms.toFixed(1)} ms   CPU: ${Math.round(result.allMicros)} µs, of them ${Math.round(result.cpuMicros)} the server`,
      );
    }
  }
  return results;
}

interface LiveLoad extends LoadResult {
  /** µs of CPU per read, of the server with its children, Postgres and Redis together. */
  readonly allMicros: number;
}

/** Loads the target. Each user is read at most once, in random order, so that no answer comes from an earlier read. */
async function loadLive(
  { servers }: LiveWorld,
  target: Target,
  { users, seconds }: Pick<BenchOptions, 'users' | 'seconds'>,
): Promise<LiveLoad> {
  const { name, server, predictor, demands, infers } = target;
  const order = shuffled(users);
  let asked = 0;
  const head = `HTTP/1.1\r\nHost: ${new URL(server.url).host}\r\n${demands ? 'Cache-Control: no-cache\r\n' : ''}\r\n`;
  const liveBefore = infers ? await liveAnswers(server.url) : 0;
  const trees = [server.pid, ...Object.values(servers.pids)];
  const cpuBefore = cpuSecondsOf(trees);
  const result = await load({
    url: server.url,
    pid: server.pid,
    connections: CONNECTIONS,
    seconds,
    next: () => `GET /v1/predictions/${predictor}/${FIRST_USER + (order[asked++ % users] ?? 0)} ${head}`,
  });
  await setTimeout(COPIED_AFTER_MS);
  const allMicros = ((cpuSecondsOf(trees) - cpuBefore) * 1e6) / asked;
  if (result.failed > asked * MOST_FAILED) throw new Error(`${name}: ${result.failed} of ${asked} answers were no 200`);
  if (!demands && asked > users) {
    throw new Error(`${name}: ${asked} reads of ${users} users, so some were answered from store; take more --users`);
  }
  if (infers) await assertLive(target, asked - result.failed, liveBefore);
  return { ...result, allMicros };
}

async function assertLive({ name, server }: Target, asked: number, before: number): Promise<void> {
  const counted = (await liveAnswers(server.url)) - before;
  if (counted < asked - CONNECTIONS) throw new Error(`${name}: of ${asked} answers only ${counted} were live`);
}

/** Returns the number of live answers that the service has counted so far. */
async function liveAnswers(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const counts = text.matchAll(/^tandem_predictions_total\{[^}]*source="live"[^}]*\} (\d+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

function shuffled(count: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const other = Math.floor(Math.random() * (i + 1));
    [order[i], order[other]] = [order[other] ?? 0, order[i] ?? 0];
  }
  return order;
}

function figures(results: ReadonlyMap<string, readonly LiveLoad[]>): Figure[] {
  const of = (name: string, value: (result: LiveLoad) => number) => (results.get(name) ?? []).map(value);
  const rate = (result: LiveLoad) => result.requestsPerSecond;
  const ratio = (name: string, to: string, goal?: Goal): Figure => {
    const below = of(to, rate);
    const rounds = of(name, rate).map((above, i) => above / (below[i] ?? Number.NaN));
    return figureOf(`live read, ${name} / ${to}`, 'ratio', rounds, goal);
  };
  const p99 = (name: string, goal?: Goal) =>
    figureOf(
      `live read, ${name}, p99`,
      'ms',
      of(name, (result) => result.p99Ms),
      goal,
    );
  const names = [...results.keys()];
  return [
    ratio('slow', 'slow, one at a time', { least: 3 }),
    p99('slow', { most: 80 }),
    ratio('fast', 'HMGET + query', { least: 1 }),
    ratio('fast', 'HMGET + query + run', { least: 1 }),
    ratio('fast, after events', 'HMGET + query + run'),
    p99('fast'),
    p99('fast, after events'),
    ...names.map((name) => figureOf(`live read, ${name}`, 'reads/s', of(name, rate))),
    ...names.map((name) =>
      figureOf(
        `live read, ${name}, CPU of all`,
        'µs',
        of(name, (result) => result.allMicros),
      ),
    ),
  ];
}

function describe({ units, runMs }: CostCurve): string {
  const runs = [...runMs].map(([rows, ms]) => `${rows} in ${ms.toFixed(3)} ms`).join(', ');
  return `${units} units a layer, users in a run: ${runs}`;
}
