/**
 * The negative controls. Each has a planted mistake, the actions on the deployment, and the rules by which the checker
 * must catch the mistake. Without the plant, the same load and actions must give no violation.
 */
import { UsageError } from '../../../command-line.ts';
import { findFaults } from '../../catalogue/faults.ts';
import { runWithinBudget } from '../../catalogue/starved-work.ts';
import type { Rule } from '../../checker/violations.ts';
import type { LoadRates } from '../../load/start-load.ts';
import type { Stage } from '../../rig/session.ts';
import {
  crashAfterChange,
  delayCertificates,
  deleteContexts,
  dropTrigger,
  evictHints,
  failHints,
  flushCache,
  restoreBackup,
  returnOld,
  rollBack,
  slowRescorings,
  underRun,
} from './stirs.ts';

export interface Control {
  readonly name: string;
  readonly what: string;
  /** Names of plants. */
  readonly plants: readonly string[];
  /** Changes of the usual rates; rollouts do not move, and the schema does not change, unless a rate is given here. */
  readonly rates?: Partial<LoadRates>;
  /** The number of users who change. */
  readonly changing?: number;
  /** Runs one round of actions on the deployment. The next round follows at once. */
  stir?(stage: Stage): Promise<void>;
  /** The control counts as caught if any of these rules is broken. */
  readonly caughtBy: readonly Rule[];
  /** The mistake shows only in the stores, which are checked after one round. */
  readonly needsStores?: true;
  /** The load writes only a watched table. */
  readonly isWatched?: true;
  /** The control runs on a Postgres with the rights of a managed service. */
  readonly isManaged?: true;
  /** The action itself is the mistake, so there is no run without a plant to compare with. */
  readonly isDoing?: true;
  /** The checker must not catch the plant, because no action on the deployment reveals the mistake. */
  readonly holds?: true;
}

/** Makes an action that injects a fault of the catalogue once a round. */
const doing = (name: string) => async (stage: Stage) => {
  for (const fault of findFaults([name])) await fault.run(stage);
};

const OLD: readonly Rule[] = ['stale called fresh', 'old certificate'];
const BY_HTTP_ALONE: Partial<LoadRates> = { sqlWriters: 0, writers: 4, writesPerSecond: 15, runsPerSecond: 0.5 };
/** No erasures: hints do not report readmissions, so a version that is only in Redis would keep the user erased. */
const UNERASED: Partial<LoadRates> = { ...BY_HTTP_ALONE, erasuresPerSecond: 0 };
const MANY_RUNS: Partial<LoadRates> = { runsPerSecond: 2, writers: 4, writesPerSecond: 15, transactionsPerSecond: 30 };
/**
 * Rates with many SQL events. The checker knows the order of their values, and users keep a value until they are
 * erased.
 */
const MANY_VALUES: Partial<LoadRates> = { sqlWriters: 2, transactionsPerSecond: 15 };
/**
 * Rates at which a user's version stays unchanged for about ten seconds, so that a row of a lost history can have it
 * too.
 */
const FEW_CHANGES: Partial<LoadRates> = {
  ...{ sqlWriters: 1, transactionsPerSecond: 6, writers: 1, writesPerSecond: 2 },
  ...{ runsPerSecond: 0.02, rollbacksPerSecond: 0, movesPerSecond: 0, erasuresPerSecond: 0.1 },
};
/** Rates at which only rollouts withdraw served predictions. */
const MANY_MOVES: Partial<LoadRates> = { movesPerSecond: 2, rollbacksPerSecond: 0 };
/** Rates at which events come in the window of a re-scoring, and reads seldom before its end. */
const MANY_RESCORINGS: Partial<LoadRates> = {
  ...{ readers: 4, readsPerSecond: 10, usersPerRead: 4, runsPerSecond: 0 },
  ...{ writers: 4, writesPerSecond: 10, transactionsPerSecond: 10 },
};
/** One bulk change in ten seconds, so that a run after it publishes a generation before the next change. */
const FEW_BULK_CHANGES: Partial<LoadRates> = {
  ...{ tableWriters: 1, sharedRowWriters: 0, transactionsPerSecond: 4, runsPerSecond: 0, rollbacksPerSecond: 0 },
  ...{ readers: 4, readsPerSecond: 10, usersPerRead: 20 },
};
/** Rates at which few commits follow the last change before a crash. */
const FEW_COMMITS: Partial<LoadRates> = {
  ...{ tableWriters: 0, sharedRowWriters: 1, transactionsPerSecond: 2, runsPerSecond: 0, erasuresPerSecond: 0 },
  ...{ readers: 4, readsPerSecond: 5 },
};
/** Rates at which many transactions cross, and other changes rarely hide a user who was not raised. */
const MANY_CROSSINGS: Partial<LoadRates> = { tableWriters: 0, sharedRowWriters: 8, transactionsPerSecond: 10 };
/** Rates at which only changes of the schema raise values. */
const SCHEMA_ALONE: Partial<LoadRates> = { tableWriters: 0, sharedRowWriters: 0, schemaChangesPerSecond: 0.3 };
/** Rates at which Redis data from before an erasure still fits after it, because generation and floor do not change. */
const MANY_ERASURES: Partial<LoadRates> = { erasuresPerSecond: 5, runsPerSecond: 0, rollbacksPerSecond: 0 };

/** Rates at which only the actions of a control withdraw something. */
const FEW_OPERATORS: Partial<LoadRates> = { movesPerSecond: 0, rollbacksPerSecond: 0, runsPerSecond: 0 };
const WITHDRAWN: readonly Rule[] = ['withdrawn generation', 'unassigned version'];

export const controls: readonly Control[] = [
  {
    name: 'N1',
    what: 'stamped at completion',
    plants: ['N1'],
    rates: MANY_RUNS,
    changing: 60,
    caughtBy: OLD,
  },
  {
    name: 'N2',
    what: "an event's time is now(), its transaction's start",
    plants: ['N2'],
    rates: { ...MANY_RUNS, sqlWriters: 4 },
    changing: 60,
    caughtBy: OLD,
  },
  { name: 'N3', what: 'skewed clocks', plants: ['N3'], rates: MANY_RUNS, changing: 60, caughtBy: OLD },
  {
    name: 'N4',
    what: 'an event deletes the key, plain SET',
    plants: ['N4'],
    rates: BY_HTTP_ALONE,
    changing: 30,
    caughtBy: OLD,
  },
  {
    name: 'N5',
    what: 'version only in Redis; the hint alone is evicted',
    plants: ['version in Redis'],
    rates: UNERASED,
    stir: evictHints,
    caughtBy: OLD,
  },
  {
    name: 'N5-calm',
    what: 'version only in Redis, which has no faults: ordinary tests pass',
    plants: ['version in Redis'],
    rates: UNERASED,
    holds: true,
    caughtBy: OLD,
  },
  {
    name: 'N6',
    what: 'version only in Redis; Redis is flushed',
    plants: ['version in Redis'],
    rates: UNERASED,
    stir: flushCache,
    caughtBy: OLD,
  },
  {
    name: 'N7',
    what: 'version only in Redis; raising it fails after the commit',
    plants: ['version in Redis'],
    rates: UNERASED,
    stir: failHints,
    caughtBy: OLD,
  },
  {
    name: 'N8',
    what: 'context first, version after',
    plants: ['N8'],
    rates: { ...MANY_RUNS, sqlWriters: 3 },
    changing: 30,
    caughtBy: [...OLD, 'untrue label'],
  },
  {
    name: 'N9',
    what: 'joined to a statement in flight',
    plants: ['N9'],
    // Many reads and few events, so that a user's stored answer is up to date when an event comes.
    rates: { readers: 16, readsPerSecond: 40, usersPerRead: 10, writers: 3, eventsPerWrite: 1, runsPerSecond: 0 },
    changing: 40,
    stir: delayCertificates,
    caughtBy: OLD,
  },
  {
    name: 'N10',
    what: 'a poller raises the version of events in SQL',
    plants: ['version in Redis'],
    rates: { writers: 0, sqlWriters: 3, transactionsPerSecond: 15, erasuresPerSecond: 0 },
    caughtBy: OLD,
  },
  {
    name: 'N11',
    what: 'readers trust the pointer in Redis',
    plants: ['N11'],
    rates: { runsPerSecond: 0.7 },
    stir: rollBack,
    caughtBy: ['withdrawn generation', ...OLD],
  },
  {
    name: 'N12',
    what: 'an ETag without source and context version',
    plants: ['N12'],
    rates: { readers: 12, readsPerSecond: 40 },
    changing: 30,
    caughtBy: OLD,
  },
  {
    name: 'Q1',
    what: 'version without the history; Postgres is restored from a backup',
    plants: ['Q1'],
    rates: { writesPerSecond: 15, transactionsPerSecond: 15 },
    changing: 60,
    stir: restoreBackup,
    needsStores: true,
    caughtBy: ['answer beyond the stores', 'untrue label', ...OLD],
  },
  {
    name: 'H1',
    what: 'recall lost: a mark that could not be recalled is overwritten; Postgres is restored without a rotation of its history',
    plants: ['H1'],
    rates: MANY_VALUES,
    changing: 60,
    stir: doing('unannounced-restore-restarted'),
    caughtBy: ['older event value', 'untrue label', ...OLD],
  },
  {
    name: 'H2',
    what: 'oid not in the history; the database is restored under another name',
    plants: ['H2'],
    rates: MANY_VALUES,
    changing: 60,
    stir: doing('restored-under-another-name'),
    caughtBy: ['older event value', 'untrue label', ...OLD],
  },
  {
    name: 'H3',
    what: 'a run that was under way at the backup is published on the restored database before the restore is noticed',
    plants: ['H3'],
    rates: FEW_CHANGES,
    changing: 300,
    async stir(stage) {
      for (const fault of findFaults(['unannounced-restore-cache-away'])) await underRun(stage, fault);
    },
    caughtBy: ['older event value', 'untrue label', ...OLD],
  },
  {
    name: 'H4',
    what: 'a history without start time on a server whose timeline cannot be read; its files are restored from a copy',
    plants: ['H4'],
    rates: MANY_VALUES,
    changing: 60,
    isManaged: true,
    stir: doing('unannounced-restore'),
    caughtBy: ['older event value', 'untrue label', ...OLD],
  },
  {
    name: 'C1',
    what: "Postgres' clock, which steps, decides which value of events without a time counts",
    plants: ['C1'],
    rates: MANY_VALUES,
    changing: 60,
    stir: doing('postgres-clock-steps'),
    caughtBy: ['older event value'],
  },
  {
    name: 'Q3',
    what: 'a deleted user starts again at 0',
    plants: [],
    changing: 60,
    stir: deleteContexts,
    isDoing: true,
    caughtBy: ['event versions', ...OLD],
  },
  {
    name: 'E1',
    what: 'unverified answers without tombstones; Redis returns to its data from before erasures',
    plants: ['E1'],
    rates: MANY_ERASURES,
    changing: 60,
    stir: (stage) => returnOld(stage, true),
    caughtBy: ['erased user served'],
  },
  {
    name: 'E2',
    what: 'a tombstone blocks no prediction once the user is readmitted; Redis returns to its data from before erasures',
    plants: ['E2'],
    rates: MANY_ERASURES,
    changing: 60,
    stir: (stage) => returnOld(stage, false),
    caughtBy: ['erased user served'],
  },
  {
    name: 'R1',
    what: 'a process uses its last certificate of arms for a second',
    plants: ['R1'],
    rates: MANY_MOVES,
    caughtBy: ['unassigned version', 'user changed arms'],
  },
  {
    name: 'R2',
    what: 'an entry of the overlay fits any arm of the user',
    plants: ['R2'],
    rates: MANY_MOVES,
    changing: 60,
    caughtBy: ['mixed arms'],
  },
  {
    name: 'R3',
    what: "each step assigns users to arms again, not by the rollout's salt",
    plants: ['R3'],
    rates: MANY_MOVES,
    caughtBy: ['user changed arms'],
  },
  {
    name: 'W1',
    what: 'the trigger of a watched table is dropped',
    plants: [],
    isWatched: true,
    changing: 60,
    stir: dropTrigger,
    isDoing: true,
    caughtBy: OLD,
  },
  {
    name: 'W2',
    what: 'a bulk change of a watched table does not raise the source version',
    plants: ['W2'],
    isWatched: true,
    changing: 60,
    caughtBy: OLD,
  },
  {
    name: 'W3',
    what: 'a key looks up the user in the statement, and not again at commit',
    plants: ['W3'],
    isWatched: true,
    changing: 200,
    rates: MANY_CROSSINGS,
    caughtBy: OLD,
  },
  {
    name: 'W4',
    what: 'a watched change by a session that replays changes commits asynchronously; Postgres crashes',
    plants: ['W4'],
    isWatched: true,
    changing: 60,
    rates: FEW_COMMITS,
    stir: crashAfterChange,
    caughtBy: OLD,
  },
  {
    name: 'W5',
    what: 'a change of the schema marks no watch',
    plants: ['W5'],
    isWatched: true,
    changing: 60,
    rates: SCHEMA_ALONE,
    caughtBy: OLD,
  },
  {
    name: 'W6',
    what: 'a change of an erased user does not lock the user, and is open while the user is readmitted',
    plants: ['W6'],
    isWatched: true,
    changing: 60,
    rates: FEW_COMMITS,
    stir: doing('readmitted-under-open-write'),
    caughtBy: OLD,
  },
  {
    name: 'F1',
    what: 'a re-scoring is labelled with the version that the relay named last when it is complete',
    plants: ['F1'],
    rates: MANY_RESCORINGS,
    changing: 150,
    stir: slowRescorings,
    caughtBy: [...OLD, 'untrue label'],
  },
  {
    name: 'L1',
    what: 'a run with a budget goes above a base from before a bulk change, whose rows are judged by the source version of the run above',
    plants: ['L1'],
    isWatched: true,
    // With this many changing users, most are on the base.
    changing: 1_000,
    rates: FEW_BULK_CHANGES,
    stir: ({ rig }) => runWithinBudget(rig),
    caughtBy: OLD,
  },
  {
    name: 'U1',
    what: 'the count of withdrawals is not compared; Postgres is lost around a rollback',
    plants: ['withdrawals not compared'],
    rates: FEW_OPERATORS,
    stir: doing('postgres-lost-around-rollback'),
    caughtBy: WITHDRAWN,
  },
  {
    name: 'U2',
    what: 'the count of withdrawals is not compared; Postgres is lost around an abort',
    plants: ['withdrawals not compared'],
    rates: FEW_OPERATORS,
    stir: doing('postgres-lost-around-abort'),
    caughtBy: WITHDRAWN,
  },
  {
    name: 'U3',
    what: 'the count of withdrawals is raised after the acknowledgement; Postgres is lost around a rollback',
    plants: ['withdrawals not raised'],
    rates: FEW_OPERATORS,
    stir: doing('postgres-lost-around-rollback'),
    caughtBy: WITHDRAWN,
  },
  {
    name: 'U4',
    what: 'the count of withdrawals is raised after the acknowledgement; Postgres is lost around an abort',
    plants: ['withdrawals not raised'],
    rates: FEW_OPERATORS,
    stir: doing('postgres-lost-around-abort'),
    caughtBy: WITHDRAWN,
  },
  {
    name: 'O1',
    what: 'a process that remembers an older prediction answers with it after a stored answer to no-cache',
    plants: ['O1'],
    caughtBy: ['older than demanded'],
  },
];

/** Returns the named controls, or all if no name is given. Throws if no control has a name. */
export function findControls(names: readonly string[]): readonly Control[] {
  if (names.length === 0) return controls;
  return names.map((name) => {
    const found = controls.find((control) => control.name === name);
    if (found) return found;
    throw new UsageError(
      `--only: no control is called ${name}; there are ${controls.map((one) => one.name).join(', ')}`,
    );
  });
}
