import { eachUser, scoredUsers } from '@tandem/prediction/runs/scored-users';
import { planNow, publishNow } from '@tandem/prediction/runs/steps.fixture';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { query } from '../sql/database.ts';
import { createRunsWorld } from './runs.fixture.ts';

const USERS = 1_000;
const { database, store, renew, start, read, planWith, claim, score, work, workAll } = await createRunsWorld({
  users: USERS,
});
const { pool } = database;
beforeEach(async () => {
  await renew();
  await pool.query('truncate tandem.read_demand');
});
afterAll(() => database.drop());

const to = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

/** Plans a budgeted run of 300 users in three chunks, of which the first will spend all its minutes. */
async function planThree() {
  await workAll(await start());
  await pool.query('update tandem.chunks set cpu_ms = 0.1 * scored');
  await read(...to(300));
  const run = await planWith({ cpuMinutes: 0.0005 });
  expect(run).toMatchObject({ usersExpected: 300, chunkCount: 3 });
  return run;
}

/**
 * Commits a chunk that took this many ms.
 * @param scored the number of scored users; the others are split off
 */
async function commit(runId: string, no: number, cpuMs: number, scored = 100, chunkSize = 25) {
  const run = await store.find(runId);
  if (!run) throw new Error(`run ${runId} is gone`);
  const chunk = await claim(runId, no);
  const result = await score(run, chunk);
  const users = eachUser(result.scored);
  const left = users.slice(scored).map(({ userId }) => userId);
  const handedBack = left.length > 0 ? { handedBack: { userIds: left, chunkSize } } : {};
  return store.commit(run, chunk, { ...result, scored: scoredUsers(users.slice(0, scored)), cpuMs, ...handedBack });
}

const chunksOf = (runId: string) =>
  query<{ no: number; state: string; cpuMs: number | null; worker: string | null }>(pool, {
    text: 'select no, state, cpu_ms as "cpuMs", worker from tandem.chunks where run_id = $1 order by no',
    values: [runId],
  });

describe('spent CPU minutes', () => {
  test('drop no chunk of a run without a base, even if some were split off', async () => {
    const run = await planWith({ cpuMinutes: 0.0005 });
    await commit(run.id, 0, 31, 50);
    await commit(run.id, 10, 31);
    expect((await chunksOf(run.id)).filter(({ state }) => state === 'cancelled')).toEqual([]);
    const outcome = await workAll(run);
    expect(outcome).toMatchObject({ state: 'done', generation: { users: USERS, baseId: null } });
    expect(await store.find(run.id)).toMatchObject({ usersExpected: USERS, usersScored: USERS });
  });

  test('are reset if the run restarts in another history: it scores all its users', async () => {
    const run = await planThree();
    await commit(run.id, 0, 31);
    expect(await store.find(run.id)).toMatchObject({ state: 'publishing', usersExpected: 100 });
    await pool.query('update tandem.history_rotation set rotation = gen_random_uuid()');
    expect(await publishNow(store, run.id)).toBeNull();
    expect(await store.find(run.id)).toMatchObject({ state: 'running', usersExpected: 300 });
    expect(await chunksOf(run.id)).toEqual(
      to(3).map((n) => ({ no: n - 1, state: 'waiting', cpuMs: null, worker: null })),
    );
    await commit(run.id, 0, 10);
    await commit(run.id, 1, 10);
    await commit(run.id, 2, 10);
    expect(await publishNow(store, run.id)).toMatchObject({ generation: { users: 300, usersLeft: USERS - 300 } });
  });

  test('drop chunks permanently: resuming the cancelled run does not reopen them', async () => {
    const run = await planThree();
    await claim(run.id, 1);
    await commit(run.id, 0, 31);
    expect(await store.find(run.id)).toMatchObject({ state: 'running', usersExpected: 200 });
    await store.cancel(run.id);
    const resumed = await store.resume(run.id);
    expect((await chunksOf(run.id)).map(({ state }) => state)).toEqual(['committed', 'waiting', 'cancelled']);
    await work(resumed, 1);
    expect(await store.find(run.id)).toMatchObject({ state: 'publishing', usersExpected: 200, usersScored: 200 });
    expect(await publishNow(store, run.id)).toMatchObject({ state: 'done', generation: { users: 200 } });
  });
});

test('users that are split off keep the rank of their chunk, even if they are split off again', async () => {
  const run = await planThree();
  await commit(run.id, 0, 1, 50, 50);
  expect((await store.claimable(run.id, 10)).map(({ no }) => no)).toEqual([3, 1, 2]);
  await commit(run.id, 3, 1, 20, 30);
  expect((await store.claimable(run.id, 10)).map(({ no }) => no)).toEqual([4, 1, 2]);
});

describe('an earlier release', () => {
  test('cannot rebuild the generation of a budgeted run without its base', async () => {
    const run = await planThree();
    const again = pool.query(
      `with old as (delete from tandem.generations where run_id = $1 returning predictor, number, model_version_id, buckets)
        insert into tandem.generations (predictor, number, model_version_id, buckets, run_id, history, cleared_erasures)
        select old.*, $1, tandem.current_history(), 0 from old`,
      [run.id],
    );
    await expect(again).rejects.toMatchObject({ code: '55P03' });
    expect((await workAll(run))?.generation).toMatchObject({ users: 300, baseNumber: 1 });
  });

  test('cannot make split-off users wait in addition to their chunk', async () => {
    const run = await start();
    await commit(run.id, 0, 1, 50, 25);
    const again = () =>
      pool.query(
        `update tandem.chunks set state = 'waiting', fence = fence + 1, attempts = 0, lost_leases = 0, lease_until = null,
          error = null, scored = 0, failed = 0, erased = null, loaded = false where run_id = $1`,
        [run.id],
      );
    await expect(again()).rejects.toMatchObject({ code: '55P03' });
    await work(run, 10);
    await claim(run.id, 11);
    await expect(again()).rejects.toMatchObject({ code: '55P03' });
  });
});

test('a planner that lost the step neither deletes chunks nor waits for them', async () => {
  await workAll(await start());
  await read(1);
  const budget = { share: 0.1 };
  const asked = { predictor: 'visits', scope: { kind: 'all' }, reason: 'test', scheduleSlot: null, budget } as const;
  const { run } = await store.create(asked);
  // A lease of 0 ms is over immediately.
  const late = await store.claimStep(run.id, 'plan', 0);
  const held = await store.claimStep(run.id, 'plan', 60_000);
  if (!late || !held || 'failed' in late) throw new Error('the step was not claimed');
  await pool.query(`insert into tandem.chunks (run_id, no, user_ids) values ($1, -1, '{1}')`, [run.id]);
  const other = await pool.connect();
  try {
    await other.query('begin');
    await other.query('select from tandem.chunks where run_id = $1 for update', [run.id]);
    expect(await store.plan(late, new AbortController().signal)).toBeNull();
  } finally {
    await other.query('rollback');
    other.release();
  }
  expect(await chunksOf(run.id)).toHaveLength(1);
});

test('a note made at a run’s creation is reported when it has ended', async () => {
  const run = { predictor: 'visits', scope: { kind: 'all' }, reason: 'schedule', scheduleSlot: null } as const;
  const asked = await store.create({ ...run, note: 'no budget: an earlier release is alive' });
  const outcome = await workAll(await planNow(store, asked.run.id));
  expect(outcome).toMatchObject({ state: 'done', note: 'no budget: an earlier release is alive' });
  expect(await store.find(asked.run.id)).toMatchObject({ error: 'no budget: an earlier release is alive' });
});
