/**
 * Measures the value of re-scoring: the same load (refresh-load.ts) with re-scoring off and on, in alternating rounds,
 * on one API and one worker. It counts the answers that had to wait for a model and the inferences of readers and of
 * re-scorings. It measures the time from an event to the stored answer, and the CPU of all processes together.
 * Re-scoring raises that CPU, because it infers for users who may never be read.
 */
import { findFreePort } from '@tandem/local-servers/ports';
import { getRequest } from '../overload/exchange.ts';
import { type OpenLoopResult, runOpenLoop } from '../overload/open-loop.ts';
import { createLiveWorld, type LiveWorld } from './live-world.ts';
import { FIRST_USER } from './predictors.ts';
import { cpuSecondsOf } from './process-usage.ts';
import { atRate, createUserLoad, isStoredFresh, LOAD } from './refresh-load.ts';
import { boostedTrees } from './run-everyone.ts';
import { type Figure, figureOf, type Section } from './section.ts';
import { type BenchProcess, type Program, startApi, startWorker } from './service.ts';

const PREDICTOR = 'trees';
/**
 * The exponent to which the targets apply. At exponent 1 some users have an event in every window, faster than
 * re-scoring.
 */
const EXPONENT = 0.8;
const STEEPER = 1;
/** The length of a round, in `--seconds`. Answers count from `WARM_UP` on, when reads that follow events have begun. */
const ROUND = 24;
const WARM_UP = 8;

interface Round {
  readonly share: number;
  readonly waiting: number;
  readonly liveInferences: number;
  readonly rescorings: number;
  readonly lagP50: number;
  readonly lagP99: number;
  readonly readP99: number;
  readonly cpuCores: number;
  readonly failed: number;
}

export const refresh: Section = {
  name: 'refresh',
  async measure(servers, { manyUsers: users, rounds, seconds }, say) {
    const world = await createLiveWorld(servers, users, { [PREDICTOR]: boostedTrees() }, { baseline: false });
    try {
      await world.storePredictions(PREDICTOR);
      const off: Round[] = [];
      const on: Round[] = [];
      const measure = async (share: number, exponent: number) => {
        const round = await measureRound(world, { users, exponent, share, seconds });
        say(`exponent ${exponent}, share ${share}: ${describe(round)}`);
        return round;
      };
      for (let round = 0; round < rounds; round++) {
        off.push(await measure(0, EXPONENT));
        on.push(await measure(0.25, EXPONENT));
      }
      const [steepOff, steepOn] = [await measure(0, STEEPER), await measure(0.25, STEEPER)];
      return [...figuresOf(EXPONENT, off, on, true), ...figuresOf(STEEPER, [steepOff], [steepOn], false)];
    } finally {
      await world.close();
    }
  },
};

interface RoundOptions {
  readonly users: number;
  readonly exponent: number;
  readonly share: number;
  readonly seconds: number;
}

async function measureRound({ servers }: LiveWorld, options: RoundOptions): Promise<Round> {
  const port = `${await findFreePort()}`;
  const variables = { INFERENCE_PROCESSES: '1' };
  const api = await startApi(servers, variables);
  const worker = await startWorker(servers, { ...variables, WORKER_PORT: port, REFRESH_SHARE: `${options.share}` });
  const pids = [api.pid, worker.pid, ...Object.values(servers.pids)];
  try {
    return await loadAndCount(servers.pool, { api, workerUrl: `http://127.0.0.1:${port}`, pids }, options);
  } finally {
    await stop(worker, api);
  }
}

async function stop(...programs: readonly Program[]): Promise<void> {
  for (const program of programs) await program.stop();
}

interface Measured {
  readonly api: BenchProcess;
  readonly workerUrl: string;
  readonly pids: readonly number[];
}

async function loadAndCount(
  pool: LiveWorld['servers']['pool'],
  { api, workerUrl, pids }: Measured,
  { users, exponent, share, seconds }: RoundOptions,
): Promise<Round> {
  const load = createUserLoad(users, exponent);
  const [warmUp, whole] = [WARM_UP * seconds, ROUND * seconds];
  const counted = whole - warmUp;
  const idOf = (user: number) => `${FIRST_USER + user}`;
  const ours = Number(new URL(api.url).port);
  const wait = new Promise((resolve) => globalThis.setTimeout(resolve, warmUp * 1_000));
  const begun = wait.then(async () => ({ at: await look(api, workerUrl), cpu: cpuSecondsOf(pids) }));
  const events = atRate(LOAD.eventsPerSecond, whole, async (from, to) => {
    const ids = Array.from({ length: to - from }, (_, i) => idOf(load.eventUser(from + i)));
    const overHttp = ids.splice(0, Math.round(ids.length * LOAD.overHttp));
    await Promise.all([
      ids.length > 0 && pool.query('insert into tandem.events (user_id) select unnest($1::text[])', [ids]),
      overHttp.length > 0 && sendEvents(api.url, overHttp),
    ]);
  });
  const reading = runOpenLoop({
    ...{ port: ours, ratePerSecond: LOAD.readsPerSecond, seconds: whole, maxConnections: 128, timeoutMs: 5_000 },
    request: (n) => getRequest(`/v1/predictions/${PREDICTOR}/${idOf(load.readUser(n))}`),
  });
  const [reads] = await Promise.all([reading, events]);
  const [before, after] = [await begun, { at: await look(api, workerUrl), cpu: cpuSecondsOf(pids) }];
  const rise = (name: string, labels = '') => sumOf(after.at, name, labels) - sumOf(before.at, name, labels);
  return {
    share,
    ...answersOf(reads, warmUp * 1_000),
    liveInferences: rise('tandem_live_inference_seconds_count', 'outcome="predicted"') / counted,
    rescorings: rise('tandem_refresh_users_total', 'outcome="inferred"') / counted,
    lagP50: quantile(after.at, before.at, 0.5),
    lagP99: quantile(after.at, before.at, 0.99),
    cpuCores: (after.cpu - before.cpu) / counted,
  };
}

async function sendEvents(url: string, ids: readonly string[]): Promise<void> {
  const body = ids.map((subject) => ({
    specversion: '1.0',
    id: crypto.randomUUID(),
    source: 'bench',
    type: 'x',
    subject,
  }));
  const answer = await fetch(`${url}/v1/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/cloudevents-batch+json' },
    body: JSON.stringify(body),
  });
  if (answer.status !== 202) throw new Error(`events were answered with ${answer.status}: ${await answer.text()}`);
  await answer.arrayBuffer();
}

/** Summarises the answers after the warm-up. `waiting` is the number per second without a fresh stored prediction. */
function answersOf({ outcomes }: OpenLoopResult, fromMs: number) {
  const counted = outcomes.filter(({ due }) => due >= fromMs);
  const seconds = counted.length / LOAD.readsPerSecond;
  const bodies = counted.map(({ answer }) => (typeof answer === 'string' ? null : answer));
  const ok = bodies.filter((answer) => answer?.status === 200);
  const sorted = counted.map(({ ms }) => ms).sort((a, b) => a - b);
  return {
    waiting: ok.filter((answer) => answer && !isStoredFresh(answer.body)).length / seconds,
    failed: bodies.length - ok.length,
    readP99: sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN,
  };
}

/** Reads the metrics of the API and the worker. */
async function look(api: BenchProcess, workerUrl: string): Promise<string> {
  const texts = [`${api.url}/metrics`, `${workerUrl}/metrics`].map(async (url) => (await fetch(url)).text());
  return (await Promise.all(texts)).join('\n');
}

/** Returns the sum of a metric's series whose labels contain a text. */
function sumOf(text: string, name: string, labels: string): number {
  const values = text.split('\n').flatMap((line) => {
    const isIt = line.startsWith(`${name}{`) && line.includes(labels);
    return isIt ? [Number(line.slice(line.lastIndexOf(' ') + 1))] : [];
  });
  return values.reduce((sum, value) => sum + value, 0);
}

/** Returns a quantile of the lags counted between two looks: the upper bound of its histogram bucket, in seconds. */
function quantile(after: string, before: string, share: number): number {
  const name = 'tandem_refresh_lag_seconds_bucket';
  const bounds = [...after.matchAll(/tandem_refresh_lag_seconds_bucket\{[^}]*le="([^"]+)"/g)].map(([, le = '']) => le);
  const counts = bounds.map((le) => sumOf(after, name, `le="${le}"`) - sumOf(before, name, `le="${le}"`));
  const all = Math.max(0, ...counts);
  const at = counts.findIndex((count) => count >= all * share);
  return all === 0 ? Number.NaN : Number((bounds[at] ?? '').replace('+Inf', 'Infinity'));
}

function describe({ waiting, liveInferences, rescorings, lagP50, lagP99, readP99, cpuCores, failed }: Round): string {
  const rates = `${waiting.toFixed(0)} reads/s wait, ${liveInferences.toFixed(0)} live inferences/s, ${rescorings.toFixed(0)} re-scorings/s`;
  return `${rates}, stored within ${lagP50} s (p99 ${lagP99} s), reads p99 ${readP99.toFixed(0)} ms, ${cpuCores.toFixed(2)} processors, ${failed} not answered`;
}

/** @param isTarget whether the targets apply to this exponent */
function figuresOf(
  exponent: number,
  off: readonly Round[],
  on: readonly Round[],
  isTarget: boolean,
): readonly Figure[] {
  const ratio = (of: (round: Round) => number) => on.map((round, i) => of(round) / of(off[i] ?? round));
  const each = (of: (round: Round) => number) => on.map(of);
  const goal = (most: number) => (isTarget ? { most } : undefined);
  const figure = (name: string, unit: Figure['unit'], rounds: readonly number[], most?: number) =>
    figureOf(`exponent ${exponent}: ${name}`, unit, rounds, most === undefined ? undefined : goal(most));
  return [
    figure(
      'reads that wait for a model, on / off',
      'ratio',
      ratio(({ waiting }) => waiting),
      0.2,
    ),
    figure(
      "readers' inferences an event, on / off",
      'ratio',
      ratio(({ liveInferences }) => liveInferences),
      0.4,
    ),
    figure(
      'event to stored answer, p50',
      's',
      each(({ lagP50 }) => lagP50),
      3,
    ),
    figure(
      'event to stored answer, p99',
      's',
      each(({ lagP99 }) => lagP99),
      10,
    ),
    figure(
      'all inferences, on / off',
      'ratio',
      ratio((one) => one.liveInferences + one.rescorings),
    ),
    figure(
      'CPU of all processes, on / off',
      'ratio',
      ratio(({ cpuCores }) => cpuCores),
    ),
    figure(
      'reads p99, off',
      'ms',
      off.map(({ readP99 }) => readP99),
    ),
    figure(
      'reads p99, on',
      'ms',
      each(({ readP99 }) => readP99),
    ),
  ];
}
