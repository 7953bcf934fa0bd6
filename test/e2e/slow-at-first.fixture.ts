/**
 * A predictor whose feature query is slow the first time on each connection, like a query that loads an extension, a
 * language or the catalog of a table with many partitions. A session lock marks a connection after its first query,
 * because the lock survives the rollback that ends each feature statement.
 */
import { adopt } from '@tandem/offline-store/adopt';
import { expect } from 'vitest';
import { COUNT, countPredictor, createCounts, type Pool } from './counts.fixture.ts';
import { createDeployment, type Deployment } from './deployment.fixture.ts';

/** The time of the first query, which is less than the time limit of a feature statement. */
const SLOW_MS = 1_500;
/** A time limit below the time of the first query on a new connection. */
const LIVE_TIMEOUT_MS = 1_000;

/** Creates a deployment in which ten users have stored predictions and no program runs. */
export async function createSlowAtFirst(): Promise<Deployment> {
  const deployment = await createDeployment();
  const { pool } = deployment;
  await createCounts(pool, 10);
  await setFirstTime(pool, SLOW_MS);
  const { definition, ...predictor } = countPredictor({ freshness: { liveTimeoutMs: LIVE_TIMEOUT_MS } });
  const sql = 'select user_id, slow_at_first() as load, changes from counts';
  const query = { ...definition.query, sql };
  await adopt(pool, { actor: 'test', predictors: [{ ...predictor, definition: { ...definition, query } }] });
  const programs = [await deployment.startApi(), await deployment.startWorker()] as const;
  await deployment.runEveryone(programs[0]);
  for (const program of programs) program.kill('SIGTERM');
  await Promise.all(programs.map(({ ended }) => ended));
  return deployment;
}

/** Starts an API, expects that its first two live reads, sent at once, are in time, and ends the API. */
export async function expectFirstReadsInTime(deployment: Deployment): Promise<void> {
  const api = await deployment.startApi();
  const infer = async (userId: string) => (await api.client.predict(COUNT, userId, { noCache: true })).answer;
  const answers = await Promise.all([infer('3'), infer('4')]);
  expect(answers.map(({ source, reason }) => [source, reason])).toEqual([
    ['live', 'requested'],
    ['live', 'requested'],
  ]);
  api.kill('SIGTERM');
  await api.ended;
}

/** Sets the milliseconds that the query takes the first time on a connection. */
export async function setFirstTime(pool: Pool, ms: number): Promise<void> {
  await pool.query(`create or replace function slow_at_first() returns float8 stable language plpgsql as $$
    begin
      if not exists (select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) then
        perform pg_sleep(${ms / 1_000});
        perform pg_advisory_lock_shared(1);
      end if;
      return 0;
    end $$`);
}
