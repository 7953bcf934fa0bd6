/** An installation of the chart under the fault rig's load, with the fault rig's checker. */
import { join } from 'node:path';
import { createPool } from '@tandem/offline-store/sql/database';
import { Redis } from 'ioredis';
import { COUNT } from '../../e2e/counts.fixture.ts';
import { until } from '../../e2e/until.fixture.ts';
import { checkErased } from '../faults/checker/check-erased.ts';
import { checkRuns } from '../faults/checker/check-runs.ts';
import { checkStores } from '../faults/checker/check-stores.ts';
import { type Checker, createChecker } from '../faults/checker/checker.ts';
import { createLeakFinder } from '../faults/checker/leaks.ts';
import type { HistorySink } from '../faults/history.ts';
import { openHistory, toEach } from '../faults/history-file.ts';
import { HTTP_SOURCE } from '../faults/load/event-writers.ts';
import { SQL_SOURCE } from '../faults/load/sql-writers.ts';
import { type LoadRates, startLoad } from '../faults/load/start-load.ts';
import { type Cluster, PEPPER, RELEASE_NAME, startStores, untilReplicas, type Values } from './cluster.ts';
import { createTables, writeConfig } from './config.ts';

export interface TrialOptions {
  /** The image of this release, as `repository:tag`. */
  readonly image: string;
  readonly before: string;
  readonly seed: number;
  readonly folder: string;
  say(line: string): void;
}

export interface Trial {
  readonly cluster: Cluster;
  readonly checker: Checker;
  readonly sink: HistorySink;
  readonly options: TrialOptions;
  /** The URL of the API's Service, for this machine. */
  readonly url: string;
  /** Returns the values of the chart for an image. */
  valuesOf(image: string): Values;
  failedReads(): number;
  /** Runs a query that returns one row, and resolves with its column `n`. */
  count(sql: string): Promise<number>;
  finish(): Promise<void>;
  close(): Promise<void>;
}

/** The name of the service in the history. */
export const SERVICE = 'service';
const USERS = 2_000;
/** Allows for the 200 s that one worker needs for the slow predictor. */
const RUNS_END_WITHIN_MS = 420_000;
/**
 * Low rates, because the cluster runs on the same machine as the load. Rollouts are not moved, because the config sets
 * the versions. No run has a budget, because the previous release rejects budgets.
 */
const RATES: Partial<LoadRates> = {
  ...{ readers: 4, readsPerSecond: 10, usersPerRead: 50, writers: 2, writesPerSecond: 5, transactionsPerSecond: 4 },
  ...{ runsPerSecond: 0.05, budgetedRuns: 0, rollbacksPerSecond: 0, movesPerSecond: 0, erasuresPerSecond: 0.2 },
};

export async function openTrial(cluster: Cluster, options: TrialOptions): Promise<Trial> {
  const { before, seed, folder, say } = options;
  const databaseUrl = await startStores(cluster);
  const pool = createPool({ url: databaseUrl, max: 10, applicationName: 'trial' });
  const configFolder = join(folder, 'config');
  await writeConfig(configFolder);
  await createTables(pool, USERS);
  await cluster.kubectl('create', 'configmap', 'tandem-config', `--from-file=${configFolder}`);
  await cluster.install(valuesOf(before));
  await untilReplicas(cluster, `${RELEASE_NAME}-api`, 2);
  const url = `http://${await cluster.addressOf(RELEASE_NAME)}`;
  const runsLeft = async () =>
    Number((await pool.query(`select count(*) as n from tandem.arms where generation_id is null`)).rows[0]?.n);
  await until('every user is scored once', async () => (await runsLeft()) === 0, RUNS_END_WITHIN_MS);
  say(`installed ${before} at ${url}, every user is scored`);

  const checker = createChecker();
  const sink = toEach([openHistory(join(folder, 'history.ndjson')), checker]);
  const leaks = createLeakFinder([PEPPER]);
  const apis = [{ name: SERVICE, url }];
  const load = await startLoad({ seed, apis, pool, sink, leaks, predictor: COUNT, users: USERS, rates: RATES });
  let isStopped = false;
  const stop = async () => {
    if (!isStopped) await load.stop();
    isStopped = true;
  };
  return {
    ...{ cluster, checker, sink, options, url, valuesOf },
    failedReads: () => failedReads(checker),
    count: async (sql) => Number((await pool.query(sql)).rows[0]?.n),
    async finish() {
      await stop();
      await checkRuns(pool, checker, USERS, RUNS_END_WITHIN_MS);
      const changesSql = 'select user_id::text as user_id, changes from counts';
      await checkStores(pool, checker, { sources: [HTTP_SOURCE, SQL_SOURCE], changesSql, isWatched: false });
      const redis = new Redis(`redis://${await cluster.addressOf('redis')}:6379`);
      await checkErased({ db: pool, redis }, checker).finally(() => redis.disconnect());
    },
    async close() {
      await stop();
      await pool.end();
      sink.close();
    },
  };
}

function valuesOf(image: string): Values {
  const colon = image.lastIndexOf(':');
  return {
    'image.repository': image.slice(0, colon),
    'image.tag': image.slice(colon + 1),
    'config.configMap': 'tandem-config',
    // The load sends no key.
    'api.env.API_KEYS': 'off',
    // Low requests, so that all pods fit into two cores, also during an upgrade.
    'api.resources.requests.cpu': '250m',
    'worker.resources.requests.cpu': '150m',
  };
}

/**
 * Counts reads without an answer, or with a status for a failure of the service. In a read of many users, each user
 * counts. An idle connection is used again: if the service has closed it, the read fails like any other.
 */
function failedReads({ calls }: Checker): number {
  let failed = 0;
  for (const [outcome, count] of calls.outcomes) {
    // 304 and 504 answer a condition of the reader, 404 an erased user.
    if (/^(read|one of many) /.test(outcome) && !/ (200|304|404|504)$/.test(outcome)) failed += count;
  }
  return failed;
}
