/** Autoscaling with real processes: no worker before a run, three during the run, and no worker after it. */
import { readFileSync } from 'node:fs';
import { createRunStore } from '@tandem/offline-store/runs/run-store';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type CliProcess, startCli } from '../../apps/cli/cli.fixture.ts';
import { adoptCounts, COUNT } from './counts.fixture.ts';
import { createDeployment, type Deployment } from './deployment.fixture.ts';
import { until } from './until.fixture.ts';

/** The seconds to read one user. A worker with three chunks in progress scores six users per second. */
const USER_SECONDS = 0.5;
/** As many users as three workers score in about a minute. */
const USERS = 720;
const SIZES = {
  DATABASE_CONNECTIONS: '25',
  INFERENCE_PROCESSES: '1',
  CHUNK_LEASE_MS: '2000',
  RUN_DEADLINE_MINUTES: '1',
};

let deployment: Deployment;
let autoscaler: CliProcess | undefined;

beforeAll(async () => {
  deployment = await createDeployment();
  await adoptCounts(deployment.pool, { users: USERS, batch: { chunkSize: 4 } });
  // The function is stable, so a plan, which reads only the keys, does not call it.
  await deployment.pool.query(`
    create function slowly(n int) returns int language plpgsql stable as
      'begin perform pg_sleep(${USER_SECONDS}); return n; end';
    alter table counts rename to counted;
    create view counts as select user_id, load, slowly(changes) as changes from counted`);
});
afterAll(async () => {
  autoscaler?.kill('SIGTERM');
  await autoscaler?.ended;
  await deployment?.close();
});

function workersOf({ pid }: CliProcess): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}

it('scales 0 → 3 → 0 workers: one is killed, the others end, and each user is scored once', {
  timeout: 300_000,
}, async () => {
  const runs = createRunStore(deployment.pool);
  const env = { ...deployment.environment, ...SIZES };
  const running = startCli(['worker', '--autoscale', '0..3', '--hold', '5'], { cwd: deployment.folder, env });
  autoscaler = running;
  const { run } = await runs.create({ predictor: COUNT, scope: { kind: 'all' }, reason: 'test', scheduleSlot: null });
  expect(workersOf(running)).toEqual([]);
  await until('three workers run', () => workersOf(running).length === 3);
  const [first = 0] = workersOf(running);
  process.kill(first, 'SIGKILL');
  await until('the run has ended', async () => (await runs.find(run.id))?.finishedAt);
  expect(await runs.find(run.id)).toMatchObject({ state: 'done', usersScored: USERS, usersFailed: 0 });
  const { rows } = await deployment.pool.query(
    'select count(*)::int as rows, count(distinct user_id)::int as users from tandem.predictions',
  );
  expect(rows).toEqual([{ rows: USERS, users: USERS }]);
  await until('no worker is left', () => workersOf(running).length === 0);
  running.kill('SIGTERM');
  expect(await running.ended).toMatchObject({ code: 0 });
});
