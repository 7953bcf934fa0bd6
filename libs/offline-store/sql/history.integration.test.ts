/** The effects of a rotated history on stored predictions and on unfinished runs. */

import { scoredUsers } from '@tandem/prediction/runs/scored-users';
import { publishNow } from '@tandem/prediction/runs/steps.fixture';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { createRunsWorld } from '../runs/runs.fixture.ts';
import { query } from './database.ts';
import { rotateHistory } from './history-marks.ts';
import { partitionOf } from './partition.ts';
import { findSettings } from './settings.ts';

const { database, store, renew, start, claim } = await createRunsWorld({ users: 150 });
beforeEach(renew);
afterAll(() => database.drop());

/** Commits a chunk that predicts one user. */
async function commit(runId: string, no: number) {
  const chunk = await claim(runId, no);
  const [run, { history }] = await Promise.all([store.find(runId), findSettings(database.pool)]);
  if (!run) throw new Error(`there is no run ${runId}`);
  const scored = scoredUsers([{ userId: String(no + 1), contextVersion: 0, outputs: Buffer.alloc(4) }]);
  return store.commit(run, chunk, { history, computedAt: Date.now(), scored, failures: [] });
}

/** Returns the number of sessions that wait for another session's lock. */
async function waiting(): Promise<number> {
  const { rows } = await database.pool.query(`select from pg_stat_activity
    where datname = current_database() and application_name = 'offline-store-test' and wait_event_type = 'Lock'`);
  return rows.length;
}

test('the next statement returns another history, and the audit has the old and the new history', async () => {
  const before = (await findSettings(database.pool)).history;
  const change = await rotateHistory(database.pool, 'somebody');
  expect(change).toEqual({ from: before, to: (await findSettings(database.pool)).history });
  expect(change.to).not.toBe(before);
  const audit = await query(database.pool, {
    text: `select actor, detail from tandem.audit where action = 'rotate_history'`,
  });
  expect(audit).toEqual([{ actor: 'somebody', detail: change }]);
});

test('a full run restarts, in a generation with a new id', async () => {
  const run = await start({ kind: 'all' });
  expect(await commit(run.id, 0)).toMatchObject({ committed: true, chunksOpen: 1 });
  await rotateHistory(database.pool, 'test');
  expect(await commit(run.id, 1)).toMatchObject({ committed: true, chunksOpen: 1 });

  const again = await store.find(run.id);
  expect(again?.generationId).not.toBe(run.generationId);
  expect(again).toMatchObject({ generationNumber: run.generationNumber, chunksCommitted: 1, usersScored: 1 });
  const left = await query(database.pool, {
    text: 'select to_regclass($1) as old, (select count(*)::int from tandem.generations) as generations',
    values: [partitionOf(run.generationId ?? '')],
  });
  expect(left).toEqual([{ old: null, generations: 1 }]);
  expect(await commit(run.id, 0)).toMatchObject({ committed: true, chunksOpen: 0 });
});

test('of two workers that claim concurrently in the new history, neither undoes the other’s claim', async () => {
  const run = await start({ kind: 'all' });
  await rotateHistory(database.pool, 'test');
  const claimed = await Promise.all([0, 1].map((no) => store.claim(run.id, no, 60_000)));
  const rows = await query<{ fence: number }>(database.pool, {
    text: `select fence from tandem.chunks where state = 'claimed' order by no`,
  });
  expect(claimed.map((chunk) => chunk?.fence)).toEqual(rows.map((row) => row.fence));
});

test('a claim that waited while another worker restarted the run still succeeds', async () => {
  const run = await start({ kind: 'all' });
  await rotateHistory(database.pool, 'test');
  const session = await database.pool.connect();
  try {
    // The worker that restarts the run then has locked its chunks, and waits for its generation.
    await session.query('begin; select from tandem.generations for update');
    const first = claim(run.id, 0);
    await expect.poll(waiting).toBe(1);
    const second = claim(run.id, 1);
    await expect.poll(waiting).toBe(2);
    await session.query('commit');
    expect((await Promise.all([first, second])).map((chunk) => chunk.attempts)).toEqual([1, 1]);
  } finally {
    session.release(true);
  }
});

test('cancelling a run while a worker restarts it does not deadlock', async () => {
  const run = await start({ kind: 'all' });
  await rotateHistory(database.pool, 'test');
  const session = await database.pool.connect();
  try {
    await session.query('begin; select from tandem.chunks where no = 1 for update');
    // The worker has locked the first chunk, and waits for the second.
    const claim = store.claim(run.id, 0, 60_000);
    await expect.poll(waiting).toBe(1);
    expect(await store.cancel(run.id)).toMatchObject({ state: 'cancelled' });
    await session.query('commit');
    // The chunk is claimed before the cancellation or not at all. In both cases nothing of it is committed.
    await claim;
  } finally {
    session.release(true);
  }
  expect(await store.resume(run.id)).toMatchObject({ state: 'running' });
});

test('a run that waits for publication in another history restarts there', async () => {
  const run = await start({ kind: 'all' });
  expect(await commit(run.id, 0)).toMatchObject({ committed: true, chunksOpen: 1 });
  expect(await commit(run.id, 1)).toMatchObject({ committed: true, chunksOpen: 0 });
  await rotateHistory(database.pool, 'test');
  expect(await publishNow(store, run.id)).toBeNull();
  expect(await publishNow(store, run.id)).toBeNull();
  const again = await store.find(run.id);
  expect(again).toMatchObject({ state: 'running', chunksCommitted: 0, generationNumber: run.generationNumber });
  expect(again?.generationId).not.toBe(run.generationId);
  for (const no of [0, 1]) await commit(run.id, no);
  expect(await publishNow(store, run.id)).toMatchObject({
    state: 'failed',
    note: expect.stringMatching(/^only 2 of 150/),
  });
});

test('a finished run does not change in another history', async () => {
  const run = await start({ kind: 'users', userIds: ['1'] });
  await commit(run.id, 0);
  expect(await publishNow(store, run.id)).toMatchObject({ state: 'done' });
  await rotateHistory(database.pool, 'test');
  expect(await publishNow(store, run.id)).toBeNull();
  expect(await store.find(run.id)).toMatchObject({ state: 'done', history: run.history });
});

test('a run of named users restarts, too, since its entries had labels of the previous history', async () => {
  const run = await start({ kind: 'users', userIds: ['1', '2'] });
  await rotateHistory(database.pool, 'test');
  expect(await commit(run.id, 0)).toMatchObject({ committed: true, chunksOpen: 0 });
  const { history } = await findSettings(database.pool);
  expect(await query(database.pool, { text: 'select history from tandem.overlay' })).toEqual([{ history }]);
});
