import { createRunStore } from '@tandem/offline-store/runs/run-store';
import { createPool } from '@tandem/offline-store/sql/database';
import { silentLog } from '@tandem/telemetry/log';
import { cloneDatabase, type TestDatabase } from '@tandem/testing/databases';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { type BuiltDependencies, createDependencies } from '../dependencies.ts';
import { createRunHints } from '../hints.ts';
import { adoptCustomers, CUSTOMERS, environmentOf } from '../worker.fixture.ts';
import { createPlanRun } from './plan-run.ts';

let database: TestDatabase;
let pool: ReturnType<typeof createPool>;
let worker: BuiltDependencies;

beforeAll(async () => {
  database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  pool = createPool({ url: database.url, applicationName: 'worker-test' });
  await adoptCustomers(pool, { users: 10, chunkSize: 10 });
  worker = await createDependencies(environmentOf(database.url, inject('redisUrl')), silentLog);
});

afterAll(async () => {
  await worker.close();
  await pool.end();
  await database.drop();
});

it('a plan that kills its workers fails its run, in the log and the metrics', async () => {
  const told: unknown[] = [];
  const log = { ...silentLog, error: (event: string, fields?: object) => void told.push([event, fields]) };
  const runs = createRunStore(pool, { maxClaims: 1 });
  const lease = { leaseMs: 60_000, renewMs: 20_000 };
  const { queue, metrics } = worker;
  const plan = createPlanRun({ runs, hints: createRunHints(queue), lease, log, metrics });
  const { run } = await runs.create({
    predictor: CUSTOMERS,
    scope: { kind: 'all' },
    reason: 'test',
    scheduleSlot: null,
  });
  await runs.claimStep(run.id, 'plan', 60_000);
  await pool.query('update tandem.runs set step_lease_until = clock_timestamp()');

  const error = 'cannot be planned: its worker died 1 times in a row';
  expect(await plan({ runId: run.id }, { progress: () => {} })).toMatchObject({ outcome: 'failed', error });
  expect(told).toMatchObject([['run.ended', { runId: run.id, runState: 'failed', note: error }]]);
  expect(await metrics.exposition()).toContain(
    `tandem_runs_total{predictor="${CUSTOMERS}",scope="all",state="failed",app="worker"} 1`,
  );
});
