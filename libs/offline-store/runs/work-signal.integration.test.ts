import type { Budget } from '@tandem/prediction/runs/budget';
import type { Run } from '@tandem/prediction/runs/runs';
import { publishNow } from '@tandem/prediction/runs/steps.fixture';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { createWork } from '../worked-runs.fixture.ts';
import { createRunStore } from './run-store.ts';
import { createRunsWorld } from './runs.fixture.ts';
import { createWorkStore } from './work-signal.ts';

const { database, store, renew, start } = await createRunsWorld({ users: 150, maxClaims: 3 });
beforeEach(renew);
afterAll(() => database.drop());

const signal = createWorkStore(database.pool);

/** Lets each chunk look as if its worker took ten seconds. */
async function workFor10s(run: Run, no: number, by = store): Promise<void> {
  await createWork(database.pool, by).work(run, no);
  const took = `update tandem.chunks set claimed_at = committed_at - interval '10 s' where run_id = $1 and no = $2`;
  await database.pool.query(took, [run.id, no]);
}

describe('the work of runs', () => {
  test('has the unscored users, and the rate of a worker so far', async () => {
    const run = await start();
    expect(await signal.unfinishedWork()).toMatchObject([{ users: 150, usersPerSecond: null, schedule: null }]);
    await workFor10s(run, 0);
    const [waiting] = await signal.unfinishedWork();
    expect(waiting).toMatchObject({ users: 50, usersPerSecond: expect.closeTo(10) });
    await workFor10s(run, 1);
    await publishNow(store, run.id);
    expect(await signal.unfinishedWork()).toEqual([]);
  });

  test('is known before a run is planned, from the previous run', async () => {
    const first = await start();
    for (const no of [0, 1]) await workFor10s(first, no);
    await publishNow(store, first.id);
    await store.create({ predictor: first.predictor, scope: { kind: 'all' }, reason: 'test', scheduleSlot: null });
    expect(await signal.unfinishedWork()).toMatchObject([{ users: 150, usersPerSecond: expect.any(Number) }]);
  });

  test('has the schedule of its kind of run', async () => {
    const schedules = `'{"schedule": "0 3 * * 0", "changedSchedule": "0 * * * *"}'`;
    await database.pool.query(
      `update tandem.predictors set policy = jsonb_set(policy, '{batch}', policy -> 'batch' || ${schedules})`,
    );
    await start();
    expect(await signal.unfinishedWork()).toMatchObject([{ schedule: '0 3 * * 0' }]);
    await database.pool.query('update tandem.runs set of_changed = true');
    expect(await signal.unfinishedWork()).toMatchObject([{ schedule: '0 * * * *' }]);
  });

  test('is shared by workers; the rate is that of one worker', async () => {
    const run = await start();
    await workFor10s(run, 0);
    await workFor10s(run, 1, createRunStore(database.pool));
    const [waiting] = await signal.unfinishedWork();
    // Each of two workers scores 150 users in ten seconds.
    expect(waiting).toMatchObject({ users: 0, usersPerSecond: expect.closeTo(7.5) });
  });
});

describe('the work of a run with a budget', () => {
  const ask = (budget: Budget) =>
    store.create({ predictor: 'visits', scope: { kind: 'all' }, reason: 'test', scheduleSlot: null, budget });
  const usersOf = async () => (await signal.unfinishedWork()).map(({ users }) => users);
  beforeEach(async () => {
    const everyone = await start();
    for (const no of [0, 1]) await workFor10s(everyone, no);
    await publishNow(store, everyone.id);
    await database.pool.query('update tandem.chunks set cpu_ms = 600 * (scored + failed)');
  });

  test.each<[Budget, number]>([
    [{ share: 0.2 }, 30],
    [{ cpuMinutes: 0.5 }, 50],
    [{ cpuMinutes: 50 }, 150],
  ])('has the users that the budget covers before it is planned: %j', async (budget, users) => {
    await ask(budget);
    expect(await signal.unfinishedWork()).toMatchObject([{ users, usersPerSecond: expect.any(Number) }]);
  });

  test('has the users of the last run with the same budget, which does not affect a run of all users', async () => {
    const { run } = await ask({ share: 0.2 });
    const ended = `update tandem.runs set state = 'done', finished_at = now(), users_scored = 7 where id = $1`;
    await database.pool.query(ended, [run.id]);
    const { run: next } = await ask({ share: 0.2 });
    expect(await usersOf()).toEqual([7]);
    await database.pool.query(ended, [next.id]);
    await store.create({ predictor: 'visits', scope: { kind: 'all' }, reason: 'test', scheduleSlot: null });
    expect(await usersOf()).toEqual([150]);
  });
});

test('a run has the schedule of its kind', async () => {
  const batch = { schedule: '0 3 * * 0', changedSchedule: '0 * * * *' };
  await database.pool.query(`update tandem.predictors set policy = jsonb_set(policy, '{batch}', $1)`, [batch]);
  for (const isOfChanged of [false, true]) {
    const scope = { kind: isOfChanged ? ('stale' as const) : ('all' as const) };
    const asked = { predictor: 'visits', scope, reason: 'schedule', scheduleSlot: null, isOfChanged };
    const { run } = await store.create(asked);
    const expected = isOfChanged ? batch.changedSchedule : batch.schedule;
    expect(await signal.unfinishedWork()).toMatchObject([{ schedule: expected }]);
    await database.pool.query(`update tandem.runs set state = 'failed', finished_at = now() where id = $1`, [run.id]);
  }
});

describe('work beside runs', () => {
  test('includes housekeeping that was not done for an hour', async () => {
    const due = (at: string) =>
      database.pool.query(
        `insert into tandem.turns (name, due_at) values ('generations', clock_timestamp() + $1)
          on conflict (name) do update set due_at = excluded.due_at`,
        [at],
      );
    for (const late of ['-61 min', '2 h']) {
      await due(late);
      expect(await signal.chores()).toEqual(['retention']);
    }
    for (const soon of ['-59 min', '50 s']) {
      await due(soon);
      expect(await signal.chores()).toEqual([]);
    }
  });

  test('includes events not yet sent to Redis, erasures to repeat, and contexts to rewrite', async () => {
    expect(await signal.chores()).toEqual([]);
    await database.pool.query(`insert into tandem.outbox (user_id, context_version) values ('1', 1)`);
    await database.pool.query(
      `insert into tandem.erasures (number, user_id, deleted_version, sweep_at) values (1, '2', 1, now()), (2, '3', 1, now() + interval '1 h')`,
    );
    await database.pool.query('update tandem.predictors set patterns_pending = true');
    expect((await signal.chores()).toSorted()).toEqual(['contexts', 'erasures', 'events']);
  });
});
