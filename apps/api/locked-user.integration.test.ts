import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createTestApi, type TestApi } from './api.fixture.ts';

let api: TestApi;
beforeEach(async () => {
  api = await createTestApi();
});
afterEach(() => api?.close());

const PATH = '/v1/predictions/repurchase/1';
/** More than the API has connections for everything but the authority. */
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
    const waiting = Array.from({ length: EVENTS }, (_, i) => send(i + 1));
    const countLocked = `select count(*)::int as n from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`;
    await expect.poll(async () => (await api.pool.query(countLocked)).rows[0].n).toBeGreaterThanOrEqual(10);
    for (let wave = 0; wave < 5; wave += 1) {
      const reads = Array.from({ length: 8 }, async () => {
        // Not all at once: questions of one moment share a statement, and only others need a second connection.
        await setTimeout(Math.random() * 5);
        return ((await (await api.get(PATH)).json()) as { reason: string }).reason;
      });
      expect(await Promise.all(reads)).toEqual(Array(8).fill('fresh'));
    }
    await locker.query('rollback');
    await Promise.all(waiting);
  } finally {
    locker.release(true);
  }
});
