/**
 * An application evades durability at commit, and Postgres crashes: the service detects the lost commit by the label of
 * a stored prediction.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { certified } from './certified.fixture.ts';
import { adoptCounts, COUNT } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';
import type { OwnPostgres } from './servers.fixture.ts';
import { until } from './until.fixture.ts';

const USERS = 50;

let deployment: Deployment;
let postgres: OwnPostgres;
let api: Api;

beforeAll(async () => {
  deployment = await createDeployment({ ownPostgres: true });
  if (!deployment.postgres) throw new Error('the test has no separate Postgres');
  postgres = deployment.postgres;
  await adoptCounts(deployment.pool, { users: USERS });
  // Only other commits write the log to disk, so that a crash loses the last one.
  await deployment.pool.query("alter system set wal_writer_delay = '10s'");
  await deployment.pool.query('select pg_reload_conf()');
  api = await deployment.startApi();
});
afterAll(() => deployment?.close());

/** Changes a user with an event whose commit does not wait for the disk. */
async function changeUnsafely(userId: string): Promise<void> {
  await deployment.pool.query(`begin;
    update counts set changes = changes + 1 where user_id = ${userId};
    insert into tandem.events (user_id) values ('${userId}');
    set constraints all immediate;
    set local synchronous_commit = off;
    commit`);
}

const read = async (userId: string) => (await certified(() => api.client.predict(COUNT, userId))).answer;

/** Changes and reads a user, and crashes Postgres. Returns whether the change was lost; another commit can save it. */
async function loseChange(userId: string): Promise<boolean> {
  const { pool } = deployment;
  // Holds back the API's own commit, which stores the live answer in Postgres.
  const holder = await pool.connect();
  holder.on('error', () => {});
  await holder.query('begin; lock table tandem.overlay in exclusive mode');
  await changeUnsafely(userId);
  expect(await read(userId)).toMatchObject({ prediction: { score: 1 }, contextVersion: 1 });
  await postgres.end('SIGQUIT');
  holder.release(true);
  await postgres.start();
  const text = `select changes from counts where user_id = ${userId}`;
  const { rows } = await until('Postgres answers', () => pool.query<{ changes: number }>(text));
  return rows[0]?.changes === 0;
}

it('a crash that loses the commit of a stored prediction begins another history, and its version is never mistaken', async () => {
  const { pool } = deployment;
  let userId = 0;
  await until('a change is lost', () => loseChange(String(++userId)));
  const user = String(userId);
  expect(await read(user)).toMatchObject({ source: 'live', prediction: { score: 0 }, contextVersion: 0 });
  await api.logged('history.commits_lost');
  const { rows } = await pool.query("select actor from tandem.audit where action = 'rotate_history'");
  expect(rows).toEqual([{ actor: 'noticed' }]);
  await pool.query(`update counts set changes = 7 where user_id = ${user}`);
  await pool.query(`insert into tandem.events (user_id) values ('${user}')`);
  expect(await read(user)).toMatchObject({ source: 'live', prediction: { score: 7 }, contextVersion: 1 });
  expect(await read(user)).toMatchObject({ source: 'live', reason: 'fresh', prediction: { score: 7 } });
});
