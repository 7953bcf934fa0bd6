/**
 * The publication of a run after an unannounced restore, by a process that can or cannot read the newest mark from
 * Redis.
 */
import { createLossNotice, type HistoryMark } from '@tandem/prediction/events/notice-loss';
import { publishRun } from '@tandem/prediction/runs/publish-run';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { query } from '../sql/database.ts';
import { createHistoryMarks, rotateHistory } from '../sql/history-marks.ts';
import { createErasureStore } from '../users/erasures.ts';
import { createRunsWorld } from './runs.fixture.ts';

const { database, store, renew, start, work, workAll } = await createRunsWorld({ users: 150 });
const { pool } = database;
afterAll(() => database.drop());

const lease = { leaseMs: 60_000, renewMs: 20_000 };
const hints = { plan: async () => {}, chunks: async () => {}, publish: async () => {}, load: async () => {} };
const loader = { completeLoad: async () => false };

/** The marks that Redis remembers, if it answers. */
const memory = { mark: null as HistoryMark | null, isDown: false };
const notice = () =>
  createLossNotice(createHistoryMarks(pool), {
    serverId: () => 'one',
    async recall() {
      if (memory.isDown) throw new Error('no connection');
      const replace = async (mark: HistoryMark) => {
        memory.mark = mark;
        return true;
      };
      return { marks: memory.mark === null ? [] : [memory.mark], replace };
    },
  });

let losses = notice();
beforeEach(async () => {
  await renew();
  Object.assign(memory, { mark: null, isDown: false });
  losses = notice();
  await losses.round();
});

async function scored(): Promise<string> {
  const run = await start();
  for (const { no } of await store.claimable(run.id, 10)) await work(run, no);
  return run.id;
}

const publish = (runId: string) => publishRun({ runs: store, hints, lease, loader, losses }, runId);
const generationOf = async (runId: string) =>
  (
    await query<{ id: string; state: string; history: string }>(pool, {
      text: 'select id, state, history from tandem.generations where run_id = $1',
      values: [runId],
    })
  )[0];
/** Removes the marks, as in a restored copy from before them with the same history. */
const restore = () => query(pool, { text: 'truncate tandem.history_marks restart identity' });
/** Starts a process, which knows only the mark that it reads from Redis. */
const restart = () => {
  losses = notice();
};

test('a run restarts with another generation id if the mark is lost', async () => {
  const id = await scored();
  const before = await generationOf(id);
  restart();
  await restore();
  expect(await publish(id)).toMatchObject({ outcome: 'abandoned' });
  expect(await generationOf(id)).toMatchObject({
    state: 'building',
    id: expect.not.stringMatching(String(before?.id)),
  });
  expect((await store.claimable(id, 10)).length).toBeGreaterThan(0);
});

test('a publication waits with a reason while the mark cannot be read, and then succeeds', async () => {
  const id = await scored();
  restart();
  memory.isDown = true;
  expect(await publish(id)).toMatchObject({
    outcome: 'given_back',
    error: expect.stringContaining('newest history mark'),
  });
  expect(await generationOf(id)).toMatchObject({ state: 'building' });
  expect(await store.find(id)).toMatchObject({
    attemptError: expect.stringMatching(
      /restore of Postgres cannot be ruled out\. To fix it, check that Redis answers at REDIS_URL/,
    ),
  });
  memory.isDown = false;
  await query(pool, { text: 'update tandem.runs set step_lease_until = null' });
  expect(await publish(id)).toMatchObject({ outcome: 'done', result: { state: 'done' } });
});

test('a run is published without Redis if Postgres has not restarted since the last proof', async () => {
  expect(await publish(await scored())).toMatchObject({ outcome: 'done' });
  memory.isDown = true;
  expect(await publish(await scored())).toMatchObject({ outcome: 'done', result: { state: 'done' } });
});

test('a run that publishes nothing ends without Redis', async () => {
  const id = await scored();
  restart();
  memory.isDown = true;
  await query(pool, {
    text: `update tandem.chunks set state = 'failed', error = 'broken' where run_id = $1 and no = 0`,
    values: [id],
  });
  expect(await publish(id)).toMatchObject({
    outcome: 'done',
    result: { state: 'failed', note: 'chunk 0 failed: broken' },
  });
});

test('no other history begins between a publication’s last check of the history and its commit', async () => {
  const id = await scored();
  const { history } = (await generationOf(id)) ?? {};
  const blocker = await pool.connect();
  await blocker.query('begin');
  // The writes of a publication after that check.
  await blocker.query('select from tandem.arms for update');
  const published = publish(id);
  await expect.poll(() => countWaiting('%update tandem.arms%')).toBe(1);
  let rotated: string | null = null;
  const rotating = rotateHistory(pool, 'test').then(({ to }) => {
    rotated = to;
  });
  await expect.poll(async () => rotated ?? (await countWaiting('%history_rotation%'))).not.toBe(0);
  const rotatedMeanwhile = rotated;
  await blocker.query('commit');
  blocker.release();
  expect(rotatedMeanwhile).toBeNull();
  expect(await published).toMatchObject({ outcome: 'done', result: { state: 'done' } });
  await rotating;
  const audit = await query<{ action: string }>(pool, {
    text: `select action from tandem.audit where action in ('publish', 'rotate_history') order by seq desc limit 2`,
  });
  expect(audit.map(({ action }) => action)).toEqual(['rotate_history', 'publish']);
  expect(await generationOf(id)).toMatchObject({ state: 'published', history });
});

const countWaiting = async (statement: string) =>
  (
    await query(pool, {
      text: `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like $1`,
      values: [statement],
    })
  ).length;

test('a proof does not hold for another run of the database server', async () => {
  const look = createHistoryMarks(pool).look;
  expect(await losses.prove(look, 'first')).toBe(true);
  memory.isDown = true;
  expect(await losses.prove(look, 'first')).toBe(true);
  expect(await losses.prove(look, 'second')).toBe(false);
});

test('a run of named users says how many of them are erased', async () => {
  await createErasureStore(pool).setTombstone('17');
  const scope = (...userIds: string[]) => ({ kind: 'users' as const, userIds });
  expect(await workAll(await start(scope('17')))).toMatchObject({
    state: 'done',
    note: 'erased users are not scored: 1 of the named users; to score such a user, run `tandem user readmit` first',
  });
  expect(await workAll(await start(scope('17', '18')))).toMatchObject({ note: expect.stringContaining(': 1 of') });
  expect(await workAll(await start(scope('18')))).toMatchObject({ state: 'done', note: null });
});
