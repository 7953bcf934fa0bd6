/**
 * A managed Postgres: the role is not a superuser, and the functions that identify the server's history are revoked.
 * The service migrates and serves there. It uses the server's start time instead, so each restart begins another
 * history.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from '../../apps/cli/cli.fixture.ts';
import { change, expectAllTrue, expectTokenRefused, readFresh } from './believed.fixture.ts';
import { certified } from './certified.fixture.ts';
import { adoptCounts, COUNT } from './counts.fixture.ts';
import { type Api, createDeployment, type Deployment } from './deployment.fixture.ts';
import type { OwnPostgres } from './servers.fixture.ts';
import { until } from './until.fixture.ts';

const USERS = 500;
const [LIVE, PARTIAL] = ['7', '11'];
/** Subjects of doctor that other tests and the load may affect. */
const OF_THE_MACHINE = ['port', 'disk', 'clock'];

let deployment: Deployment;
let postgres: OwnPostgres;
let api: Api;

beforeAll(async () => {
  deployment = await createDeployment({ ownPostgres: true, isManaged: true });
  if (!deployment.postgres) throw new Error('the test has no separate Postgres');
  postgres = deployment.postgres;
  // The time limit of a live read allows for a busy machine.
  const freshness = { liveTimeoutMs: 20_000 };
  await adoptCounts(deployment.pool, { users: USERS, freshness, batch: { chunkSize: 50 } });
  api = await deployment.startApi();
  // Without re-scoring: it could answer the user of the partial run before the run does.
  await deployment.startWorker({ REFRESH_SHARE: '0' });
});
afterAll(() => deployment?.close());

const read = async (userId: string) => (await certified(() => api.client.predict(COUNT, userId))).answer;

async function history(): Promise<string> {
  const { rows } = await deployment.pool.query<{ history: string }>('select tandem.current_history() as history');
  return rows[0]?.history ?? '';
}

it('a role that only owns its database can migrate, and worker, events, runs and rollback work', async () => {
  const { pool } = deployment;
  await expect(pool.query('select * from pg_control_system()')).rejects.toMatchObject({ code: '42501' });
  expect(await deployment.runEveryone(api)).toBe('1');
  await change(pool, api, LIVE, 1);
  expect(await read(LIVE)).toMatchObject({ source: 'live', prediction: { score: 1 } });
  await pool.query(
    `insert into tandem.events (source, id, type, user_id) values ('sql', '1', 'changed', '${PARTIAL}')`,
  );
  const { id } = await api.client.runs.start({ predictor: COUNT, scope: { userIds: [PARTIAL] } });
  for await (const _ of api.client.runs.watch(id));
  expect(await read(PARTIAL)).toMatchObject({ source: 'batch', generation: null });
  expect(await deployment.runEveryone(api)).toBe('2');
  await api.client.rollback(COUNT);
  await expectAllTrue(pool, [api]);
});

it('a restart begins another history: earlier tokens are rejected, and stored live answers are not used', async () => {
  const { pool } = deployment;
  const generation = Number(await deployment.runEveryone(api));
  const score = await readFresh(api, LIVE);
  const before = await history();
  expect(await history()).toBe(before);
  const token = await change(pool, api, LIVE, 1);
  expect(await readFresh(api, LIVE)).toBe(score + 1);
  await postgres.end('SIGQUIT');
  await postgres.start();
  await until('reads are certified again', () => readFresh(api, LIVE).catch(() => null));
  expect(await history()).not.toBe(before);
  await expectTokenRefused(api, LIVE, token);
  const sources = await expectAllTrue(pool, [api]);
  // Rows of a generation are valid in every history that contains the generation.
  expect(sources.batch).toBeGreaterThan(USERS - 10);
  await change(pool, api, PARTIAL, 1);
  expect(await deployment.runEveryone(api)).toBe(String(generation + 1));
  await expectAllTrue(pool, [api]);
  expect(deployment.wire.violations).toEqual([]);
});

it('doctor reports the effect of a restart, and finds no error', async () => {
  const { code, out } = await runCli(['doctor'], { cwd: deployment.folder, env: deployment.environment });
  expect(out).toMatch(/^warning +rights +tenant may not execute pg_control_system\(\), .*each restart of Postgres/m);
  const subjects = [...out.matchAll(/^(?:warning|error) +(\S+)/gm)].map(([, subject = '']) => subject);
  expect(subjects.filter((subject) => !OF_THE_MACHINE.includes(subject))).toEqual(['rights']);
  expect(code).toBe(0);
});
