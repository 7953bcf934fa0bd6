/**
 * Measures the effect of a budget. After some minutes of events, the same reads are sent three times: before any run,
 * after a run with a budget, and after a run of all users. The rig counts the reads that get a fresh stored prediction,
 * and measures the CPU and the time of both runs. docs/benchmarks.md describes the load.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from '@tandem/client/create-client';
import { createReadCountStore } from '@tandem/offline-store/reads/read-demand';
import { createReadCounts, type ReadCount } from '@tandem/prediction/demand/count-reads';
import { type Exchange, getRequest, openConnection } from '../overload/exchange.ts';
import { createLiveWorld } from './live-world.ts';
import { createUserDraw, type UserPicker } from './pick-users.ts';
import { FIRST_USER } from './predictors.ts';
import { cpuSecondsOf } from './process-usage.ts';
import { createRandom, isStoredFresh, LOAD } from './refresh-load.ts';
import { boostedTrees, openWorkerParts, runEveryone, type WorkerParts } from './run-everyone.ts';
import { type Figure, figureOf, type Section, type Target } from './section.ts';
import { type BenchProcess, type BenchServers, startApi, startWorker } from './service.ts';

const PREDICTOR = 'trees';
/**
 * Budgets, as shares of the users. The first should take a quarter of the CPU of a run of everyone; the second should
 * make nine of ten reads fresh.
 */
const SHARES = [0.04, 0.09];
/** The exponent of Zipf's law to which the targets apply. */
const EXPONENT = 0.8;
const STEEPER = 1;
const INTERVAL_MINUTES = 10;
const HOUR_MINUTES = 60;

/** The time between two writes of the counts of reads by an API. */
const WINDOW_SECONDS = 5;
const READS_OF_WINDOW = WINDOW_SECONDS * LOAD.readsPerSecond;
const HISTORY_WINDOWS = (6 * 3_600) / WINDOW_SECONDS;
/** The reads that are replayed, per second of `--seconds`. */
const REPLAYED_READS = 8_000;
const CONNECTIONS = 4;
/** The rows of one insert. */
const EVENTS_AT_ONCE = 5_000;

interface Bench {
  readonly servers: BenchServers;
  readonly parts: WorkerParts;
  readonly users: number;
  readonly seconds: number;
  readonly say: (line: string) => void;
}

export const demand: Section = {
  name: 'demand',
  async measure(main, { manyUsers: users, rounds, seconds }, say) {
    const world = await createLiveWorld(main, users, { [PREDICTOR]: boostedTrees() }, { baseline: false });
    const { servers } = world;
    const parts = await openWorkerParts(servers);
    try {
      const bench = { servers, parts, users, seconds, say };
      const intervals = SHARES.map((share) => ({ minutes: INTERVAL_MINUTES, share }));
      const hour = { minutes: HOUR_MINUTES, share: Math.max(...SHARES) };
      // The hour comes first. Then most users have had events before the measurements with targets, as in a service.
      const flat = await measureExponent(bench, EXPONENT, [hour, ...Array(rounds).fill(intervals).flat()]);
      const steep = await measureExponent(bench, STEEPER, intervals);
      return [
        ...figuresOf(EXPONENT, flat, intervals),
        ...figuresOf(STEEPER, steep, intervals),
        ...figuresOf(EXPONENT, flat, [hour]),
      ];
    } finally {
      await parts.close();
      await world.close();
    }
  },
};

/** The time between two runs, and the budget of the run after it. */
interface Interval {
  /** The minutes of events. */
  readonly minutes: number;
  /** The budget, as a share of the users. */
  readonly share: number;
}

/** Measures one round for each interval. Users are drawn by Zipf's law with this exponent. */
async function measureExponent(bench: Bench, exponent: number, intervals: readonly Interval[]): Promise<Round[]> {
  const { servers, parts, users, say } = bench;
  const draw = createUserDraw(users, exponent, createRandom(LOAD.seed));
  const api = await startApi(servers);
  const worker = await startWorker(servers, { REFRESH_SHARE: '0' });
  try {
    const tandem = createClient({ url: api.url });
    await runEveryone(servers, tandem, parts, PREDICTOR);
    await makeHistory(bench, draw);
    const rounds: Round[] = [];
    const involved = [worker.pid, ...Object.values(servers.pids)];
    for (const interval of intervals) {
      rounds.push(await measureRound(bench, { draw, api, tandem, involved, interval }));
      say(`exponent ${exponent}: ${JSON.stringify(rounds.at(-1))}`);
    }
    return rounds;
  } finally {
    await worker.stop();
    await api.stop();
  }
}

/**
 * Counts some hours of reads as an API does, with the same bound on the counts that it writes. Each window of reads is
 * noted at once and written before the next window, so that hours pass in minutes.
 */
async function makeHistory({ servers }: Bench, draw: UserPicker): Promise<void> {
  await servers.pool.query('truncate tandem.read_demand');
  const store = createReadCountStore(servers.pool);
  let written = Promise.withResolvers<void>();
  const put = (counts: readonly ReadCount[]) => store.put(counts).then(written.resolve, written.reject);
  const counts = createReadCounts({ store: { put }, random: createRandom(LOAD.seed), flushMs: 0 });
  for (let window = 0; window < HISTORY_WINDOWS; window++) {
    written = Promise.withResolvers();
    for (let i = 0; i < READS_OF_WINDOW; i++)
      counts.note(`${FIRST_USER + draw()}`, { source: 'batch', contextVersion: 0 });
    await written.promise;
  }
  await counts.close();
  await servers.pool.query('vacuum analyze tandem.read_demand');
}

function drawMany(draw: UserPicker, count: number): Uint32Array {
  return Uint32Array.from({ length: count }, draw);
}

/**
 * Returns the share of the reads that got a fresh stored prediction. A read counts if its status is 200 or 504 (no
 * stored prediction is acceptable). Any other read is repeated, so that a busy machine changes no figure.
 */
async function readAll(
  api: BenchProcess,
  users: Uint32Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<number> {
  const port = Number(new URL(api.url).port);
  const counted = { next: 0, fresh: 0, refused: 0 };
  const askInTurn = async () => {
    let connection = openConnection('127.0.0.1', port);
    for (let n = counted.next++; n < users.length; ) {
      const request = getRequest(`/v1/predictions/${PREDICTOR}/${FIRST_USER + (users[n] ?? 0)}`, headers);
      const answer = await new Promise<Exchange | null>((done) => connection.ask(request, done));
      if (answer?.status === 200 || answer?.status === 504) {
        counted.fresh += isStoredFresh(answer.body) ? 1 : 0;
        n = counted.next++;
        continue;
      }
      if (counted.refused++ > users.length) throw new Error(`reads are refused: ${answer?.body}`);
      if (!connection.isOpen()) connection = openConnection('127.0.0.1', port);
    }
    connection.end();
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, askInTurn));
  return counted.fresh / users.length;
}

interface RoundOptions {
  readonly draw: UserPicker;
  readonly api: BenchProcess;
  readonly tandem: Client;
  /** Processes whose CPU is counted. */
  readonly involved: readonly number[];
  readonly interval: Interval;
}

interface RunCost {
  readonly cpuSeconds: number;
  readonly seconds: number;
  readonly scored: number;
}

interface Round {
  readonly interval: Interval;
  /** The share of the users who changed. */
  readonly changed: number;
  /** The share of the users that the run with a budget scored. */
  readonly scored: number;
  /** The share of the reads that get a fresh stored prediction before any run; the next two fields: after each run. */
  readonly freshBefore: number;
  readonly freshAfterBudget: number;
  readonly freshAfterEveryone: number;
  readonly budget: RunCost;
  readonly everyone: RunCost;
}

async function measureRound(bench: Bench, options: RoundOptions): Promise<Round> {
  const { users, seconds } = bench;
  const { draw, api, interval } = options;
  const changed = await change(bench, draw, interval.minutes * 60 * LOAD.eventsPerSecond);
  const reads = drawMany(draw, REPLAYED_READS * seconds);
  const replay = () => readAll(api, reads, { 'cache-control': 'only-if-cached' });
  const freshBefore = await replay();
  const budget = await measureRun(bench, options, interval);
  const freshAfterBudget = await replay();
  const everyone = await measureRun(bench, options);
  const freshAfterEveryone = await replay();
  const shares = { changed: changed / users, scored: budget.scored / users };
  return { interval, ...shares, freshBefore, freshAfterBudget, freshAfterEveryone, budget, everyone };
}

/**
 * Inserts one event for each drawn user, waits until the relay has emptied the outbox, and returns the number of users.
 */
async function change({ servers: { pool } }: Bench, draw: UserPicker, events: number): Promise<number> {
  const users = new Set<number>();
  for (let i = 0; i < events; i++) users.add(draw());
  const ids = Array.from(users, (user) => `${FIRST_USER + user}`);
  for (let at = 0; at < ids.length; at += EVENTS_AT_ONCE) {
    const some = ids.slice(at, at + EVENTS_AT_ONCE);
    await pool.query('insert into tandem.events (user_id) select unnest($1::text[])', [some]);
  }
  for (;;) {
    const { rows } = await pool.query('select exists (select from tandem.outbox) as waits');
    if (!rows[0]?.waits) break;
    await sleep(250);
  }
  await pool.query('vacuum analyze tandem.user_contexts');
  await pool.query('checkpoint');
  return ids.length;
}

async function measureRun(
  { servers, parts }: Bench,
  { tandem, involved }: RoundOptions,
  budget?: Interval,
): Promise<RunCost> {
  const before = cpuSecondsOf(involved);
  const { run, loadedSeconds } = await runEveryone(
    servers,
    tandem,
    parts,
    PREDICTOR,
    budget && { share: budget.share },
  );
  return { cpuSeconds: cpuSecondsOf(involved) - before, seconds: loadedSeconds, scored: run.usersScored };
}

/** Computes the figures of each interval from its rounds. Targets apply to the main exponent and interval only. */
function figuresOf(exponent: number, rounds: readonly Round[], intervals: readonly Interval[]): readonly Figure[] {
  return intervals.flatMap(({ minutes, share }) => {
    const of = rounds.filter(({ interval }) => interval.minutes === minutes && interval.share === share);
    const isTarget = exponent === EXPONENT && minutes === INTERVAL_MINUTES;
    const figure = (name: string, unit: Figure['unit'], give: (round: Round) => number, target?: Target) =>
      figureOf(name, unit, of.map(give), isTarget ? target : undefined);
    const what = `exponent ${exponent}, ${minutes} minutes of events, budget ${share}`;
    return [
      figure(`${what}: CPU / of a run of everyone`, 'ratio', (r) => r.budget.cpuSeconds / r.everyone.cpuSeconds, {
        most: 0.25,
      }),
      figure('  reads that a store answers fresh after it', 'ratio', (r) => r.freshAfterBudget, { least: 0.9 }),
      figure('  the same, before any run', 'ratio', (r) => r.freshBefore),
      figure('  the same, after a run of everyone', 'ratio', (r) => r.freshAfterEveryone),
      figure('  users who changed / all', 'ratio', (r) => r.changed),
      figure('  time of the run', 's', (r) => r.budget.seconds),
      figure('  time of a run of everyone', 's', (r) => r.everyone.seconds),
      figure('  CPU of a run of everyone', 's', (r) => r.everyone.cpuSeconds),
    ];
  });
}
