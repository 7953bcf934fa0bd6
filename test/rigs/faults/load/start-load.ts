/**
 * The load of a session: readers, writers over HTTP and SQL, and operators who start runs and move rollouts. Each actor
 * has its own random numbers from one seed. All outcomes are written to the history, and no fault ends an actor.
 */
import { createRandom } from '@tandem/experiment/distributions/random';
import type { Pool } from '../../../e2e/counts.fixture.ts';
import { until } from '../../../e2e/until.fixture.ts';
import type { LeakFinder } from '../checker/leaks.ts';
import type { Contract, HistorySink } from '../history.ts';
import { VERSIONS } from '../rig/told-versions.ts';
import { startEraser } from './erasers.ts';
import { startWriter } from './event-writers.ts';
import { listGenerations, startLister } from './generation-lister.ts';
import { type Api, createHttpCaller } from './http-caller.ts';
import { DEADLINES, learnContract } from './learn-contract.ts';
import { createDice, createRecentEvents, type Dice, type LoadParts } from './load-parts.ts';
import { startReader } from './readers.ts';
import { createOps, type Ops } from './rollout-calls.ts';
import { startMover } from './rollout-mover.ts';
import { startRunStarter } from './run-starter.ts';
import { startSchemaChanger } from './schema-changers.ts';
import { startSharedRowWriter } from './shared-row-writers.ts';
import { startSqlWriter } from './sql-writers.ts';
import { startTableWriter } from './table-writers.ts';

export interface LoadOptions {
  readonly seed: number;
  readonly apis: readonly Api[];
  /** Applications with an embedded reader, which a share of the readers uses. Default: none. */
  readonly embedded?: readonly Api[];
  readonly embeddedShare?: number;
  /** The application's own connections, which faults of the service do not affect. */
  readonly pool: Pool;
  readonly sink: HistorySink;
  readonly leaks: LeakFinder;
  readonly predictor: string;
  /** Users 1 to n. */
  readonly users: number;
  /** The number of users who change, from user 1 on; default: a tenth. */
  readonly changing?: number;
  readonly rates?: Partial<LoadRates>;
  /** The time limits of calls that differ from `DEADLINES`, in ms. */
  readonly deadlines?: Partial<Contract['deadlines']>;
}

export interface LoadRates {
  readonly readers: number;
  /** The requests of each reader a second, and the most users of one request. */
  readonly readsPerSecond: number;
  readonly usersPerRead: number;
  readonly writers: number;
  readonly writesPerSecond: number;
  readonly eventsPerWrite: number;
  readonly sqlWriters: number;
  readonly transactionsPerSecond: number;
  /** Writers that change rows of a watched table, and send no events. */
  readonly tableWriters: number;
  /** Writers that change watched rows which users share, and move them between users. */
  readonly sharedRowWriters: number;
  /** The rate of changes of what the feature query reads, which no trigger of a row sees. */
  readonly schemaChangesPerSecond: number;
  readonly runsPerSecond: number;
  /** The share of runs of all users that have a budget. */
  readonly budgetedRuns: number;
  readonly rollbacksPerSecond: number;
  /** The rate of moves of rollouts: starts, steps, ends, and surveys. */
  readonly movesPerSecond: number;
  /** The share of moves of a preparing rollout that abort it. */
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
  sharedRowWriters: 0,
  schemaChangesPerSecond: 0,
  runsPerSecond: 0.2,
  budgetedRuns: 0.5,
  rollbacksPerSecond: 0.03,
  movesPerSecond: 0.8,
  abortedInPreparing: 0.2,
  erasuresPerSecond: 0.5,
});

/**
 * Rates of a load that writes only application tables; the other rates do not change. After a change of the schema, nothing
 * stored is fresh for some seconds.
 */
export const TABLES_ALONE: Partial<LoadRates> = {
  ...{ writers: 0, sqlWriters: 0, tableWriters: 3, sharedRowWriters: 3, schemaChangesPerSecond: 0.1 },
};

const LISTED_WITHIN_MS = 10_000;

export interface Load {
  /** Acts as the only operator: the load moves no rollout until `act` has ended. Its calls go to that API. */
  operate<T>(api: string, act: (ops: Ops) => Promise<T>): Promise<T>;
  /** Lets all actors finish, including events without an acknowledgement. */
  stop(): Promise<void>;
}

/** Starts the load. Rejects if no API serves its contract. */
export async function startLoad(options: LoadOptions): Promise<Load> {
  const { seed, apis, pool, sink, leaks, predictor, users, changing = Math.max(1, Math.floor(users / 10)) } = options;
  const rates = { ...RATES, ...options.rates };
  const deadlines = { ...DEADLINES, ...options.deadlines };
  const { embedded = [], embeddedShare = 0 } = options;
  const inProcess = embedded.length === 0 ? 0 : Math.round(rates.readers * embeddedShare);
  sink.write(await learnContract(apis[0]?.url ?? '', deadlines));
  let isStopping = false;
  const caller = createHttpCaller(leaks);
  const recent = createRecentEvents();
  const parts: LoadParts = {
    ...{ apis, caller, sink, predictor, users, changing, recent },
    deadlines,
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
  const inTurn = createTurns();
  const moving = { movesPerSecond, abortedInPreparing, rollbacksPerSecond, inTurn };
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
    ...named('shared', rates.sharedRowWriters, () => startSharedRowWriter(parts, dice(), inserting)),
    startLister(parts, dice()),
    startEraser(parts, dice(), { userIds: erasable(changing), actsPerSecond: rates.erasuresPerSecond }),
    startSchemaChanger(parts, dice(), { pool, changesPerSecond: rates.schemaChangesPerSecond }),
  ]);
  // `stop` reports errors of an actor.
  done.catch(() => {});
  return {
    operate(name, act) {
      const ops = createOps({ ...parts, apis: apis.filter((api) => api.name === name) }, dice());
      return inTurn(() => act(ops));
    },
    async stop() {
      isStopping = true;
      await done.then(() => listLastly(parts, dice())).finally(() => caller.close());
    },
  };
}

/** Returns a function that runs acts one after another. */
function createTurns(): <T>(act: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (act) => {
    const turn = last.then(act);
    last = turn.catch(() => {});
    return turn;
  };
}

/** Lists the generations a last time, for the last reads. Without an answering API this is not possible. */
async function listLastly(parts: LoadParts, dice: Dice): Promise<void> {
  await until('the generations are listed', () => listGenerations(parts, dice), LISTED_WITHIN_MS).catch(() => {});
}

/** Returns the users that may be erased: the last tenth of the changing users, which readers request most. */
function erasable(changing: number): readonly string[] {
  return Array.from({ length: Math.max(1, Math.floor(changing / 10)) }, (_, i) => String(changing - i));
}
