/** Predictors whose users take time to read but hardly any CPU, so that more workers are faster on any machine. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { adopt } from '@tandem/offline-store/adopt';
import { predictorOf } from '../../../apps/worker/worker.fixture.ts';
import type { BenchServers } from '../bench/service.ts';
import type { AskedRun } from './load.ts';

/** The mean seconds to read a user. A few users take four times as long. */
export const USER_SECONDS = 0.1;
export const CHUNKS_AT_ONCE = 3;
const MAIN = resolve(import.meta.dirname, '../../../apps/cli/main.ts');

export async function adoptSlow(
  { pool }: BenchServers,
  asked: readonly Pick<AskedRun, 'predictor' | 'users'>[],
): Promise<void> {
  const most = Math.max(...asked.map(({ users }) => users));
  // The function is stable, so a plan, which reads only the keys, does not call it.
  await pool.query(`
    create function slowly(n bigint) returns float8 language plpgsql stable as
      'begin perform pg_sleep(${4 * USER_SECONDS} * (n * 7919 % 1000 / 1000.0) ^ 3); return n; end';
    create table people (id bigint primary key);
    insert into people select generate_series(1, ${most});
    create view customers as select id, slowly(id) as recency, 1 as orders from people;
    analyze people`);
  const predictors = asked.map(({ predictor: name, users }) => {
    return predictorOf({ users, chunkSize: 20, name, where: `id <= ${users}` });
  });
  await adopt(pool, { actor: 'elastic', predictors });
}

interface Range {
  readonly min: number;
  readonly max: number;
  readonly holdSeconds: number;
}

/** Starts `tandem worker`. Its output goes to standard error. */
export function startWorkers({ env }: BenchServers, { min, max, holdSeconds }: Range): ChildProcess {
  const args = [MAIN, 'worker', '--autoscale', `${min}..${max}`, '--hold', String(holdSeconds)];
  // With this value, four workers fit into the default limit of Postgres.
  const sizes = { DATABASE_CONNECTIONS: '22', CHUNK_CONCURRENCY: String(CHUNKS_AT_ONCE), INFERENCE_PROCESSES: '1' };
  const own = { ...process.env, ...env, ...sizes, REFRESH_SHARE: '0', RUN_DEADLINE_MINUTES: '1' };
  const child = spawn(process.execPath, args, { env: own, stdio: ['ignore', 'ignore', 'pipe'] });
  child.stderr.on('data', (lines: Buffer) => process.stderr.write(lines));
  return child;
}

/** Counts the direct child processes, including those that are starting or ending. */
export function countWorkers({ pid }: ChildProcess): number {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).length;
}
