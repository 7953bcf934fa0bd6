/**
 * The load of a run: readers, writers over HTTP and SQL, and ops who start runs and move rollouts, each with randomness of its own from one
 * seed. Whatever they meet is written to the history; nothing that a fault does ends them.
 */
import { createRandom } from '../../../../apps/shop/replay/random.ts';
import type { Pool } from '../../../e2e/counts.fixture.ts';
import { until } from '../../../e2e/until.fixture.ts';
import type { LeakFinder } from '../checker/leaks.ts';
import type { HistorySink } from '../history.ts';
import { VERSIONS } from '../rig/told-versions.ts';
import { startEraser } from './erasers.ts';
import { startWriter } from './event-writers.ts';
import { listGenerations, startLister } from './generation-lister.ts';
import { type Api, createHttpCaller } from './http-caller.ts';
import { DEADLINES, learnContract } from './learn-contract.ts';
import { createDice, createRecentEvents, type Dice, type LoadParts } from './load-parts.ts';
import { startReader } from './readers.ts';
import { startMover } from './rollout-mover.ts';
import { startRunStarter } from './run-starter.ts';
import { startSqlWriter } from './sql-writers.ts';
import { startTableWriter } from './table-writers.ts';

export interface LoadOptions {
  readonly seed: number;
  readonly apis: readonly Api[];
  /** Applications with an embedded reader, which a share of the readers asks; none by default. */
  readonly embedded?: readonly Api[];
  readonly embeddedShare?: number;
  /** The application's own connections, which no fault of the service's passes through. */
  readonly pool: Pool;
  readonly sink: HistorySink;
  readonly leaks: LeakFinder;
  readonly predictor: string;
  /** Users 1 to n. */
  readonly users: number;
  /** Users who change: users 1 to this number; default a tenth. */
  readonly changing?: number;
  readonly rates?: Partial<LoadRates>;
}

export interface LoadRates {
  readonly readers: number;
  /** Requests of each reader a second, and users of one request at most. */
  readonly readsPerSecond: number;
  readonly usersPerRead: number;
  readonly writers: number;
  readonly writesPerSecond: number;
  readonly eventsPerWrite: number;
  readonly sqlWriters: number;
  readonly transactionsPerSecond: number;
  /** They change rows of a watched table, and send no event. */
  readonly tableWriters: number;
  readonly runsPerSecond: number;
  /** Of runs of everyone, the share that have a budget. */
  readonly budgetedRuns: number;
  readonly rollbacksPerSecond: number;
  /** Of rollouts: starts, steps, ends, and looks. */
  readonly movesPerSecond: number;
  /** The share of moves of a rollout that is being prepared that abort it. */
  readonly abortedInPreparing: number;
  /** Erasures and readmissions together. */
  readonly erasuresPerSecond: number;
}

export const RATES: LoadRates = Object.freeze({
  readers: 8,
  readsPerSecond: 20,
  usersPerRead: 60,
  writers: 3,
  writesPerSecond: 8,
  eventsPerWrite: 4,
  sqlWriters: 1,
  transactionsPerSecond: 8,
  tableWriters: 0,
  runsPerSecond: 0.2,
  budgetedRuns: 0.5,
  rollbacksPerSecond: 0.03,
  movesPerSecond: 0.8,
  abortedInPreparing: 0.2,
  erasuresPerSecond: 0.5,
});

/** Of a load that writes application tables only: the rest is as ever. */
export const TABLES_ALONE: Partial<LoadRates> = { writers: 0, sqlWriters: 0, tableWriters: 3 };

const LISTED_WITHIN_MS = 10_000;

export interface Load {
  /** Lets all actors finish, including events without an acknowledgement. */
  stop(): Promise<void>;
}

/** Rejects where no API tells its contract. */
export async function startLoad(options: LoadOptions): Promise<Load> {
  const { seed, apis, pool, sink, leaks, predictor, users, changing = Math.max(1, Math.floor(users / 10)) } = options;
  const rates = { ...RATES, ...options.rates };
  const { embedded = [], embeddedShare = 0 } = options;
  const inProcess = embedded.length === 0 ? 0 : Math.round(rates.readers * embeddedShare);
  sink.write(await learnContract(apis[0]?.url ?? ''));
  let isStopping = false;
  const caller = createHttpCaller(leaks);
  const recent = createRecentEvents();
  const parts: LoadParts = {
    ...{ apis, caller, sink, predictor, users, changing, recent },
    deadlines: DEADLINES,
    isStopping: () => isStopping,
  };
  let actors = 0;
  const dice = () => createDice(createRandom((seed + 7_919 * ++actors) >>> 0));
  const named = (name: string, count: number, start: (name: string) => Promise<void>) =>
    Array.from({ length: count }, (_, i) => start(`${name}-${seed}-${i + 1}`));
  const { readsPerSecond, usersPerRead, writesPerSecond, eventsPerWrite, transactionsPerSecond } = rates;
  const reading = { requestsPerSecond: readsPerSecond, mostUsers: usersPerRead };
  const writing = { pool, callsPerSecond: writesPerSecond, mostEvents: eventsPerWrite };
  const { movesPerSecond, abortedInPreparing, rollbacksPerSecond } = rates;
  const moving = { movesPerSecond, abortedInPreparing, rollbacksPerSecond };
  const running = { runsPerSecond: rates.runsPerSecond, budgeted: rates.budgetedRuns };
  const inserting = { pool, transactionsPerSecond, mostUsers: eventsPerWrite };
  const done = Promise.all([
    ...named('reader', rates.readers - inProcess, (name) => startReader(parts, name, dice(), reading)),
    ...named('embedded', inProcess, (name) => startReader({ ...parts, apis: embedded }, name, dice(), reading)),
    ...named('writer', rates.writers, (name) => startWriter(parts, name, dice(), writing)),
    ...named('sql', rates.sqlWriters, (name) => startSqlWriter(parts, name, dice(), inserting)),
    startRunStarter(parts, dice(), { ...running, mostUsers: 50 }),
    startMover(parts, dice(), { ...moving, versions: VERSIONS }),
    ...named('table', rates.tableWriters, () => startTableWriter(parts, dice(), inserting)),
    startLister(parts, dice()),
    startEraser(parts, dice(), { userIds: erasable(changing), actsPerSecond: rates.erasuresPerSecond }),
  ]);
  // An actor's own error is told by stop.
  done.catch(() => {});
  return {
    async stop() {
      isStopping = true;
      await done.then(() => listLastly(parts, dice())).finally(() => caller.close());
    },
  };
}

/** Reports the history that the last reads may have met. Without an answering API this is not possible. */
async function listLastly(parts: LoadParts, dice: Dice): Promise<void> {
  await until('the generations are listed', () => listGenerations(parts, dice), LISTED_WITHIN_MS).catch(() => {});
}

/** Some of the changing users, which readers ask for most: the last tenth. */
function erasable(changing: number): readonly string[] {
  return Array.from({ length: Math.max(1, Math.floor(changing / 10)) }, (_, i) => String(changing - i));
}
