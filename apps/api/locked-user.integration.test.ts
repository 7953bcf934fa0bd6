import { afterEach, beforeEach, expect, it } from 'vitest';
import { createTestApi, type TestApi } from './api.fixture.ts';

let api: TestApi;
beforeEach(async () => {
  api = await createTestApi();
});
afterEach(() => api?.close());

const PATH = '/v1/predictions/repurchase/1';
/** More events than the API has connections, without counting the connection of the authority. */
const EVENTS = 16;

const send = (id: number) =>
  api.post(
    '/v1/events',
    { specversion: '1.0', id: `e${id}`, source: '/test', type: 'order.placed', subject: '2' },
    { 'content-type': 'application/cloudevents+json' },
  );

it('certifies reads while events wait for a locked user', async () => {
  await send(0);
  await api.get(PATH);
  const locker = await api.pool.connect();
  try {
    await locker.query(`begin; select 1 from tandem.user_contexts where user_id = '2' for update`);
    // Makes the authority reconnect, as after a statement that took too long.
    const own = 'from pg_stat_activity where datname = current_database() and application_name';
    const ended = `select pid, pg_terminate_backend(pid) ${own} in ('tandem-api', 'tandem-api-authority')`;
    const pids = (await api.pool.query(ended)).rows.map(({ pid }) => pid);
    const count = async (where: string) => (await api.pool.query(`select 1 ${own} ${where}`)).rows.length;
    // The API may have new connections by now, for work in the background.
    await expect.poll(() => count(`is not null and pid in (${pids})`)).toBe(0);
    // An event times out after a second and its sender retries, so that requests wait as long as the user is locked.
    let isLocked = true;
    const waiting = Array.from({ length: EVENTS }, async (_, i) => {
      while (isLocked) await send(i + 1);
    });
    await expect
      .poll(() => count(`= 'tandem-api' and wait_event_type = 'Lock'`), { interval: 5 })
      .toBeGreaterThanOrEqual(5);
    const reason = async () => ((await (await api.get(PATH)).json()) as { reason: string }).reason;
    const reasons = () => Promise.all(Array.from({ length: 20 }, reason));
    // The first read uses the terminated connection.
    await expect.poll(reasons, { interval: 5 }).toEqual(Array(20).fill('fresh'));
    isLocked = false;
    await locker.query('rollback');
    await Promise.all(waiting);
  } finally {
    locker.release(true);
  }
});
