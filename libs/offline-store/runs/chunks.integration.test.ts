import type { ClaimedChunk, Run } from '@tandem/prediction/runs/runs';
import { scoredUsers } from '@tandem/prediction/runs/scored-users';
import { publishNow } from '@tandem/prediction/runs/steps.fixture';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { createPool, query, transaction } from '../sql/database.ts';
import { findSettings } from '../sql/settings.ts';
import { startProxy } from '../stalling-proxy.fixture.ts';
import { copyPredictions } from './commit-chunk.ts';
import { createRunsWorld } from './runs.fixture.ts';

const { database, store, renew, start, claim } = await createRunsWorld({ users: 150, maxClaims: 3 });
beforeEach(renew);
afterAll(() => database.drop());

/** Claims a chunk for a worker that then dies. */
async function die(run: Run, no: number): Promise<ClaimedChunk> {
  const chunk = await claim(run.id, no);
  await database.pool.query(`update tandem.chunks set lease_until = now() - interval '1 s' where state = 'claimed'`);
  return chunk;
}

/** Commits a chunk without users. */
async function commit(run: Run, no: number) {
  const chunk = await claim(run.id, no);
  const { history } = await findSettings(database.pool);
  return store.commit(run, chunk, { history, computedAt: Date.now(), scored: scoredUsers([]), failures: [] });
}

test('a chunk whose worker died before the clock was set back is still taken over', async () => {
  const run = await start();
  const lost = await store.claim(run.id, 1, 60_000);
  expect((await store.claimable(run.id, 10)).map((one) => one.no)).toEqual([0]);
  // The lease looks as if the clock was an hour ahead when the chunk was claimed.
  await database.pool.query(`update tandem.chunks set lease_until = lease_until + interval '1 hour' where no = 1`);
  expect((await store.claimable(run.id, 10)).map((one) => one.no)).toEqual([0, 1]);
  expect(await store.claim(run.id, 1, 60_000)).toMatchObject({ fence: (lost?.fence ?? 0) + 1, takenOver: true });
});

describe('a chunk that kills its workers', () => {
  test('fails with the reason, and its run fails when the other chunks are done', async () => {
    const run = await start();
    for (let i = 0; i < 3; i++) expect(await die(run, 1)).toMatchObject({ attempts: i + 1, takenOver: i > 0 });
    expect((await store.claimable(run.id, 10)).map((one) => one.no)).toContain(1);
    expect(await store.claim(run.id, 1, 60_000)).toMatchObject({ failed: 'its worker died 3 times in a row' });
    expect(await store.find(run.id)).toMatchObject({ state: 'running' });
    expect((await store.claimable(run.id, 10)).map((one) => one.no)).toEqual([0]);
    await commit(run, 0);
    expect(await publishNow(store, run.id)).toMatchObject({
      state: 'failed',
      note: 'chunk 1 failed: its worker died 3 times in a row',
    });
    expect(await store.resume(run.id)).toMatchObject({ state: 'running' });
    expect(await store.claim(run.id, 1, 60_000)).toMatchObject({ attempts: 1, takenOver: false });
  });

  test('fails its run immediately if it was the last chunk, and names the earlier error', async () => {
    const run = await start();
    await commit(run, 0);
    await store.giveBack(await claim(run.id, 1), 'out of memory', 5);
    for (let i = 0; i < 3; i++) await die(run, 1);
    const failed = 'its worker died 3 times in a row; before that: out of memory';
    expect(await store.claim(run.id, 1, 60_000)).toEqual({ failed, fence: 4, takenOver: true });
    expect(await store.claim(run.id, 1, 60_000)).toBeNull();
    expect(await store.find(run.id)).toMatchObject({
      state: 'failed',
      error: 'chunk 1 failed: its worker died 3 times in a row; before that: out of memory',
    });
  });

  test('differs from a returned attempt: an outage may take any number of attempts', async () => {
    const run = await start();
    for (let i = 0; i < 6; i++) {
      await die(run, 1);
      expect(await store.giveBack(await claim(run.id, 1), 'the database is away', 40)).toBe('waiting');
    }
  });
});

describe('a chunk that is returned', () => {
  /** Commits a chunk without these users, which become two chunks. */
  async function split(run: Run, chunk: ClaimedChunk, userIds: readonly string[]) {
    const { history } = await findSettings(database.pool);
    const handedBack = { userIds, chunkSize: Math.ceil(userIds.length / 2) };
    const result = { history, computedAt: Date.now(), scored: scoredUsers([]), failures: [], handedBack };
    return store.commit((await store.find(run.id)) ?? run, chunk, result);
  }

  const rotate = () => database.pool.query('update tandem.history_rotation set rotation = gen_random_uuid()');

  test('becomes chunks of the unscored users, for which the run waits', async () => {
    const run = await start();
    expect(await split(run, await claim(run.id, 1), ['7', '8', '9'])).toMatchObject({
      splitOff: [2, 3],
      chunksOpen: 3,
    });
    expect(await store.find(run.id)).toMatchObject({ chunkCount: 4, chunksCommitted: 1 });
    expect(await store.isDry(run.id)).toBe(false);
    const parts = [await claim(run.id, 2), await claim(run.id, 3)].map(({ part }) => part);
    expect(parts).toEqual(expect.arrayContaining([{ userIds: ['7', '8'] }, { userIds: ['9'] }]));
    await claim(run.id, 0);
    expect(await store.isDry(run.id)).toBe(true);
  });

  test('is not returned by a worker that lost it, nor after the run has ended', async () => {
    const run = await start();
    const zombie = await die(run, 1);
    const heir = await claim(run.id, 1);
    expect(await split(run, zombie, ['7'])).toEqual({ committed: false, why: 'fence_lost' });
    await store.cancel(run.id);
    expect(await split(run, heir, ['7'])).toEqual({ committed: false, why: 'run_ended' });
    expect(await store.find(run.id)).toMatchObject({ chunkCount: 2, chunksCommitted: 0 });
  });

  test('by two workers concurrently becomes chunks with different numbers', async () => {
    const run = await start();
    const chunks = [await claim(run.id, 0), await claim(run.id, 1)];
    const outcomes = await Promise.all(
      chunks.map((chunk, i) => split(run, chunk, [String(10 * i), String(10 * i + 1)])),
    );
    const numbers = outcomes.flatMap((one) => (one.committed ? one.splitOff : []));
    expect(numbers.sort()).toEqual([2, 3, 4, 5]);
  });

  test('has all its users again if the run restarts in another history, and chunks split off from it are done', async () => {
    const run = await start();
    await split(run, await claim(run.id, 1), ['7', '8']);
    const zombie = await claim(run.id, 2);
    await rotate();
    expect(await store.claim(run.id, 3, 60_000)).toBeNull();
    expect((await store.claimable(run.id, 10)).map(({ no }) => no)).toEqual([0, 1]);
    expect(await split(run, zombie, ['8'])).toEqual({ committed: false, why: 'fence_lost' });
    const again = (await store.find(run.id)) ?? run;
    for (const no of [0, 1]) await commit(again, no);
    expect(await store.find(run.id)).toMatchObject({ state: 'publishing', chunkCount: 4, chunksCommitted: 4 });
  });

  test('keeps no user names after its commit', async () => {
    const run = await start();
    await split(run, await claim(run.id, 1), ['7', '8']);
    await commit(run, 2);
    const { rows } = await database.pool.query('select user_ids from tandem.chunks where run_id = $1 and no = 2', [
      run.id,
    ]);
    expect(rows).toEqual([{ user_ids: [] }]);
  });
});

describe('a released chunk', () => {
  test('can be claimed immediately, and the released claim does not count', async () => {
    const run = await start();
    await store.release(await claim(run.id, 1));
    expect(await claim(run.id, 1)).toMatchObject({ attempts: 1, fence: 2, takenOver: false });
  });

  test('stays with the worker that has taken it over', async () => {
    const run = await start();
    const zombie = await die(run, 1);
    await claim(run.id, 1);
    await store.release(zombie);
    expect(await store.claim(run.id, 1, 60_000)).toBeNull();
  });
});

test('a commit stays valid if a later step fails', async () => {
  const run = await start();
  await commit(run, 0);
  await database.pool.query(`
    create or replace function refuse() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
    create trigger refuse before update on tandem.runs for each row when (new.state = 'publishing') execute function refuse()`);
  try {
    expect(await commit(run, 1)).toEqual({ committed: true, written: scoredUsers([]), splitOff: [], chunksOpen: 1 });
  } finally {
    await database.pool.query('drop trigger refuse on tandem.runs');
  }
  // A search for the next chunk finds that none is open.
  expect(await store.claimable(run.id, 10)).toEqual([]);
  expect(await store.unfinished()).toMatchObject([{ id: run.id, state: 'publishing' }]);
});

test('a server that hangs during COPY costs the time limit and the connection', async () => {
  const run = await start();
  const proxy = await startProxy(new URL(database.url));
  const pool = createPool({ url: proxy.url, max: 1, applicationName: 'copy-stall' });
  const users = scoredUsers([{ userId: '1', contextVersion: 0, outputs: Buffer.alloc(4) }]);
  const copying = transaction(pool, async (db) => {
    await query(db, { text: 'select 1' });
    proxy.stall(true);
    await copyPredictions(db, run.generationId ?? '', Date.now(), users, 200);
  });
  await expect(copying).rejects.toMatchObject({ code: 'unavailable' });
  expect(pool.totalCount).toBe(0);
  proxy.stall(false);
  await transaction(pool, (db) => copyPredictions(db, run.generationId ?? '', Date.now(), users, 60_000));
  expect(await query(pool, { text: 'select user_id from tandem.predictions' })).toEqual([{ user_id: '1' }]);
  await pool.end();
  proxy.close();
});
