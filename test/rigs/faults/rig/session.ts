/** A session: a rig under load, with a checker. Every fault and every control runs in one. */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { BatchPolicy } from '@tandem/freshness/predictor';
import { COUNT } from '../../../e2e/counts.fixture.ts';
import { until } from '../../../e2e/until.fixture.ts';
import { checkErased } from '../checker/check-erased.ts';
import { checkRuns } from '../checker/check-runs.ts';
import { checkStores } from '../checker/check-stores.ts';
import { type Checker, createChecker } from '../checker/checker.ts';
import { createLeakFinder } from '../checker/leaks.ts';
import { type Contract, type HistorySink, monotonicNow } from '../history.ts';
import { openHistory, toEach } from '../history-file.ts';
import { HTTP_SOURCE } from '../load/event-writers.ts';
import type { Api } from '../load/http-caller.ts';
import { sampleProcesses } from '../load/sample-processes.ts';
import { sampleWork } from '../load/sample-work.ts';
import { SQL_SOURCE } from '../load/sql-writers.ts';
import { type Load, type LoadRates, startLoad, TABLES_ALONE } from '../load/start-load.ts';
import type { ReplicatedForm } from './replicated-redis.ts';
import { createRig, type DeploymentForm, type Rig } from './rig.ts';
import type { SupervisedProgram } from './supervised-program.ts';
import { type FaultActs, type FaultHead, tellFault } from './tell-fault.ts';

/** A requirement of a fault: a disk that can be filled, servers whose clocks can move, a standby at another address, watched tables. */
export type Needs = 'small disk' | 'server clocks' | 'standby' | 'watched tables' | ReplicatedForm;

export interface SessionOptions extends DeploymentForm {
  readonly seed: number;
  /** The folder of the rig and of `history.ndjson`. */
  readonly folder: string;
  readonly plants?: readonly string[];
  readonly users?: number;
  /** Processes of each kind; default: two. */
  readonly apis?: number;
  readonly workers?: number;
  /** The number of users who change; default: a tenth. */
  readonly changing?: number;
  readonly rates?: Partial<LoadRates>;
  /** The time limits of calls that differ from those of the load, in ms. A later answer is a violation. */
  readonly deadlines?: Partial<Contract['deadlines']>;
  /** The batch policy of the predictor; by default only the load starts runs. */
  readonly batch?: Partial<BatchPolicy>;
  readonly needs?: Needs;
}

/** The means by which faults are injected. */
export interface Stage {
  readonly rig: Rig;
  readonly sink: HistorySink;
  /** Numbers in [0, 1), from the seed. */
  readonly random: () => number;
  /** Injects a fault and records it in the history. */
  fault(head: Omit<FaultHead, 'seed'>, acts: FaultActs): Promise<void>;
  /** Acts as the only operator: the load moves no rollout until `act` has ended. Its calls go to that API. */
  operate: Load['operate'];
}

export interface Session extends Stage {
  readonly checker: Checker;
  /** Ends all faults and the load, checks history and stores, and stops all processes. */
  finish(): Promise<void>;
  /** Stops all processes without further checks. */
  close(): Promise<void>;
}

/** A policy by which most runs score changed users within a budget. */
export const SCHEDULED: Partial<BatchPolicy> = {
  schedule: '*/5 * * * *',
  changedSchedule: '* * * * *',
  budget: { cpuMinutes: 0.0005 },
};

/** Without event triggers, a change of the schema is detected some seconds late. */
const UNNOTICED: Partial<LoadRates> = { schemaChangesPerSecond: 0 };

const USERS = 2_000;
const CHUNK_SIZE = 200;
/** A new cluster takes some 60 MB, and its log grows in steps of 16 MB. */
const SMALL_DISK_MB = 512;
/** The time limit for the first run of all users on a busy machine. */
const FIRST_RUN_MS = 120_000;
const LOAD_STOPS_WITHIN_MS = 60_000;
const RUNS_END_WITHIN_MS = 120_000;
const CHANGES = 'select user_id::text as user_id, changes from counts';

export async function openSession(options: SessionOptions): Promise<Session> {
  const {
    seed,
    folder,
    plants = [],
    users = USERS,
    changing,
    batch = {},
    needs,
    deadlines = {},
    apis = 2,
    workers = 2,
    embeddedShare = 0,
    isWatched = false,
    isManaged = false,
    throughPooler = false,
  } = options;
  const rates = isWatched ? { ...TABLES_ALONE, ...(isManaged ? UNNOTICED : {}), ...options.rates } : options.rates;
  // The servers' passwords are in their URLs, and leaks.ts searches for passwords in URLs.
  const leaks = createLeakFinder([]);
  const checker = createChecker();
  let sink: HistorySink = checker;
  const onLine = (name: string, line: string) => {
    const leak = leaks.inLog(line);
    const at = monotonicNow();
    if (leak !== null) sink.write({ kind: 'log', at, ended: at, name, leak });
  };
  const disk = needs === 'small disk' ? { postgresDiskMb: SMALL_DISK_MB } : {};
  const redis = needs === 'cluster' || needs === 'sentinel' ? needs : undefined;
  const servers = { ...disk, redis, hasStandby: needs === 'standby' };
  const form = { isWatched, isManaged, throughPooler };
  const counts = { users, batch: { ...batch, chunkSize: CHUNK_SIZE }, sharesRows: isWatched };
  const embedded = embeddedShare > 0 ? 1 : 0;
  const rig = await createRig({ ...form, ...servers, seed, folder, plants, apis, workers, embedded, counts, onLine });
  let load: Load | undefined;
  let isClosed = false;
  sink = toEach([openHistory(join(folder, 'history.ndjson')), checker]);
  const stopSampling = sampleProcesses(rig.programs, sink);
  const sampling = sampleWork(rig, sink);

  async function stop(): Promise<void> {
    stopSampling();
    await sampling.stop();
    const stopping = load?.stop();
    load = undefined;
    if (!stopping) return;
    const late = pause(LOAD_STOPS_WITHIN_MS, 'late', { ref: false });
    if ((await Promise.race([stopping, late])) === 'late') {
      throw new Error('the load did not end in time, because the service does not acknowledge one of its events');
    }
  }

  async function close(): Promise<void> {
    if (isClosed) return;
    isClosed = true;
    await rig.settle().catch(() => {});
    await stop().finally(() => rig.close());
    sink.close();
  }

  try {
    await runEveryone(rig);
    const addressOf = ({ name, url }: SupervisedProgram): Api => ({ name, url: url ?? '' });
    const [apis, embedded] = [rig.apis.map(addressOf), rig.embedded.map(addressOf)];
    const whom = changing === undefined ? {} : { changing };
    const parts = {
      seed,
      apis,
      embedded,
      embeddedShare,
      pool: rig.pool,
      sink,
      leaks,
      predictor: COUNT,
      users,
      ...whom,
    };
    load = await startLoad({ ...parts, deadlines, ...(rates ? { rates } : {}) });
  } catch (error) {
    await close();
    throw error;
  }
  return {
    rig,
    sink,
    checker,
    random: rig.random,
    fault: (head, acts) => tellFault(sink, { ...head, ...(isManaged ? { changesHistory: true } : {}), seed }, acts),
    operate(api, act) {
      if (!load) throw new Error('the load has ended');
      return load.operate(api, act);
    },
    close,
    async finish() {
      try {
        await rig.settle();
        await stop();
        await endSchedules(rig);
        await checkRuns(rig.pool, checker, users, RUNS_END_WITHIN_MS);
        await checkStores(rig.pool, checker, { sources: [HTTP_SOURCE, SQL_SOURCE], changesSql: CHANGES, isWatched });
        const { pool: db, replicated } = rig;
        if (replicated) await checkErased({ db, ...replicated.stored }, checker);
        else await rig.cache.with((redis) => checkErased({ db, redis }, checker));
      } finally {
        await close();
      }
    },
  };
}

/** Ends the schedules, so that no run begins while the stores are checked. It updates rows: an active rollout rejects a new config. */
async function endSchedules({ pool }: Rig): Promise<void> {
  await pool.query(`update tandem.predictors
    set policy = jsonb_set(policy, '{batch}', (policy -> 'batch') - 'changedSchedule' || '{"schedule": null}')`);
}

/** Runs all users once, so that there are stored predictions that can become stale. */
async function runEveryone({ apis, pool }: Rig): Promise<void> {
  const body = JSON.stringify({ predictor: COUNT, scope: 'all' });
  const headers = { 'content-type': 'application/json' };
  const { id } = await until('the first run is taken', async () => {
    const answer = await fetch(`${apis[0]?.url}/v1/runs`, { method: 'POST', headers, body });
    const said = (await answer.json()) as { readonly id?: string };
    // A busy machine may have refused the run.
    if (answer.status !== 503 && said.id === undefined) throw new Error(`it was answered with ${answer.status}`);
    return said.id === undefined ? null : { id: said.id };
  });
  await until(
    'the first run is done',
    async () => {
      const { rows } = await pool.query<{ state: string }>({
        text: 'select state from tandem.runs where id = $1',
        values: [id],
      });
      return rows[0]?.state === 'done';
    },
    FIRST_RUN_MS,
  );
  // The last chunks are still being loaded into Redis.
  await pause(500);
}
