import { randomUUID } from 'node:crypto';
import type { ProcessKind } from '@tandem/prediction/processes/processes';
import type { Budget } from '@tandem/prediction/runs/budget';
import type { Run } from '@tandem/prediction/runs/runs';
import { publishNow } from '@tandem/prediction/runs/steps.fixture';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { createEventStore } from '../events/events.ts';
import { carryRows } from '../generations/carried-rows.ts';
import { deletePredictionsOf } from '../generations/erased-predictions.ts';
import { createGenerationStore } from '../generations/generations.ts';
import { createRegister } from '../processes/processes.ts';
import { query } from '../sql/database.ts';
import { createErasureStore } from '../users/erasures.ts';
import { findBacklog } from './backlog.ts';
import { createRunsWorld } from './runs.fixture.ts';

const USERS = 1_000;
const { database, store, renew, start, ask, read, planWith, claim, score, workAll } = await createRunsWorld({
  users: USERS,
});
const { pool } = database;
const generations = createGenerationStore(pool);
beforeEach(async () => {
  await renew();
  await pool.query('truncate tandem.read_demand');
});
afterAll(() => database.drop());

async function change(...userIds: number[]): Promise<void> {
  const events = userIds.map((id) => ({
    source: 't',
    id: randomUUID(),
    type: 'x',
    userId: `${id}`,
    time: null,
    data: null,
  }));
  await createEventStore(pool).accept(events);
}

/** Executes a run with a budget from start to end. */
const runWith = async (budget: Budget) => workAll(await planWith(budget));

async function changeInBulk(): Promise<void> {
  await pool.query(`insert into tandem.source_versions (predictor, version) values ('visits', 1)`);
}

async function namesOf(run: Run): Promise<number[]> {
  const rows = await query<{ id: string }>(pool, {
    text: 'select unnest(user_ids) as id from tandem.chunks where run_id = $1 order by no',
    values: [run.id],
  });
  return rows.map(({ id }) => Number(id)).sort((a, b) => a - b);
}

/** Returns the users that a run with a budget would score. */
async function chosenBy(budget: Budget): Promise<number[]> {
  const run = await planWith(budget);
  const names = await namesOf(run);
  await store.cancel(run.id);
  return names;
}

async function rowsOf(id: string | undefined): Promise<{ user: number; version: number }[]> {
  return query(pool, {
    text: `select user_id::int as "user", context_version as version from tandem.predictions
      where generation_id = $1 order by user_id::int`,
    values: [id],
  });
}
const usersOf = async (id: string | undefined) => (await rowsOf(id)).map(({ user }) => user);
const to = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

describe('a run with a budget', () => {
  test('scores the most read users, and leaves the others on the generation of all users', async () => {
    const base = (await workAll(await start()))?.generation;
    await read(5_000, ...to(300).reverse());
    const run = await planWith({ share: 0.2 });
    expect(run).toMatchObject({ state: 'running', scope: 'all', usersExpected: 200, chunkCount: 2 });
    expect(await namesOf(run)).toEqual(to(300).slice(-200));
    const { generation } = (await workAll(run)) ?? {};
    expect(generation).toMatchObject({
      number: 2,
      users: 200,
      usersLeft: 800,
      baseId: base?.id,
      baseNumber: 1,
      inForce: true,
    });
    expect(generation?.startedAt).toBe(base?.startedAt);
    // The displayed age is that of its own run.
    expect(generation?.plannedAt).toBeCloseTo(run.startedAt?.getTime() ?? 0, -1);
    expect(generation?.plannedAt).toBeGreaterThan(base?.plannedAt ?? 0);
    expect(await usersOf(generation?.id)).toEqual(to(300).slice(-200));
    expect(await namesOf(run)).toEqual([]);
  });

  test('gives the age of its run to the generation, however old its base is', async () => {
    await workAll(await start());
    await pool.query(`update tandem.generations set started_at = started_at - interval '1 hour'`);
    await read(1);
    const generation = (await runWith({ share: 0.001 }))?.generation;
    expect((generation?.plannedAt ?? 0) - (generation?.startedAt ?? 0)).toBeGreaterThan(3_599_000);
    const [age] = (await findBacklog(pool)).generations;
    expect(age?.ageSeconds).toBeLessThan(600);
  });

  test('first scores users with a prediction that an event has outdated, the most read first', async () => {
    await workAll(await start());
    await read(1, 2, 3, 4);
    await change(4, 3, 9);
    expect(await chosenBy({ share: 0.001 })).toEqual([3]);
    expect(await chosenBy({ share: 0.003 })).toEqual([3, 4, 9]);
    expect(await chosenBy({ share: 0.004 })).toEqual([1, 3, 4, 9]);
  });

  test('orders outdated users without counted reads by their number of changes', async () => {
    await workAll(await start());
    await change(1, 2, 3);
    await change(2);
    expect(await chosenBy({ share: 0.001 })).toEqual([2]);
  });

  test('counts predictions that expire before the estimated next run as outdated', async () => {
    await workAll(await start());
    await read(1, 2, 3);
    await change(9);
    const makeOlder = (generation: number, interval: string) =>
      query(pool, {
        text: `with moved as (
            update tandem.generations set started_at = started_at - $2::interval where number = $1 returning id, run_id
          ), planned as (update tandem.runs set started_at = started_at - $2::interval where id = (select run_id from moved))
          update tandem.predictions set computed_at = computed_at - $2::interval where generation_id = (select id from moved)`,
        values: [generation, interval],
      });
    await makeOlder(1, '29 minutes');
    expect(await chosenBy({ share: 0.001 })).toEqual([9]);
    // Predictions last an hour, and the next run is expected in half an hour.
    await makeOlder(1, '2 minutes');
    expect(await chosenBy({ share: 0.002 })).toEqual([1, 2]);
    expect(await usersOf((await runWith({ share: 0.001 }))?.generation?.id)).toEqual([1]);
    // The next run is now expected immediately, and predictions computed now do not expire before it.
    expect(await chosenBy({ share: 0.002 })).toEqual([1, 9]);
    await makeOlder(1, '30 minutes');
    expect(await chosenBy({ share: 0.002 })).toEqual([2, 3]);
    await pool.query('update tandem.arms set expires_from = clock_timestamp()');
    expect(await chosenBy({ share: 0.001 })).toEqual([9]);
  });

  test('cuts chunks of a share in the order of ids, and chunks of CPU minutes in the order of rank', async () => {
    await workAll(await start());
    await pool.query('update tandem.chunks set cpu_ms = scored');
    const ids = Array.from({ length: 200 }, (_, i) => 999 - i);
    await read(...ids.filter((id) => id % 2 === 0), ...ids.filter((id) => id % 2 === 1));
    const chunksOf = async (budget: Budget) => {
      const run = await planWith(budget);
      const chunks = await query(pool, {
        text: `select min(id::int) as least, max(id::int) as most from tandem.chunks, unnest(user_ids) id
          where run_id = $1 and no < 2 group by no order by no`,
        values: [run.id],
      });
      await store.cancel(run.id);
      return chunks;
    };
    expect(await chunksOf({ share: 0.2 })).toEqual([
      { least: 800, most: 899 },
      { least: 900, most: 999 },
    ]);
    expect(await chunksOf({ cpuMinutes: 1 })).toEqual([
      { least: 800, most: 998 },
      { least: 801, most: 999 },
    ]);
  });

  test('finds outdated predictions in every layer', async () => {
    await workAll(await start());
    await change(2, 3, 4);
    await change(2, 3);
    expect(await usersOf((await runWith({ share: 0.002 }))?.generation?.id)).toEqual([2, 3]);
    // These users have new rows in the generation above the base. The other user still has an old row.
    expect(await chosenBy({ share: 0.5 })).toEqual([4]);
    await change(2);
    expect(await chosenBy({ share: 0.5 })).toEqual([2, 4]);
  });

  test('scores no users of other predictors, and scores new users last', async () => {
    await workAll(await start());
    await pool.query(
      'insert into visits select $1, recency, orders, member, city, loaded_at from visits where user_id = 1',
      [USERS + 1],
    );
    await change(USERS + 1, 2 * USERS);
    await read(1);
    expect(await chosenBy({ share: 0.001 })).toEqual([1]);
    expect(await chosenBy({ share: 0.5 })).toEqual([1, USERS + 1]);
  });

  test('cuts many changed users into chunks, up to the budget', async () => {
    await workAll(await start());
    await read(1, 3);
    await change(...to(300));
    const run = await planWith({ share: 0.251 });
    expect(run).toMatchObject({ usersExpected: 251, chunkCount: 3 });
    expect(new Set(await namesOf(run)).size).toBe(251);
  });

  test('ends without a generation if no user was read or has changed', async () => {
    await workAll(await start());
    const outcome = await runWith({ share: 0.5 });
    expect(outcome).toMatchObject({
      state: 'done',
      generation: null,
      note: expect.stringContaining('no user was scored'),
    });
    expect(await generations.list('visits')).toHaveLength(1);
  });

  test('scores all users if no generation is current', async () => {
    await read(1);
    expect(await runWith({ share: 0.1 })).toMatchObject({
      note: expect.stringContaining('all users were scored despite the budget: no generation is current'),
      generation: { users: USERS, baseId: null, inForce: true },
    });
  });

  test('in CPU minutes is rejected until a run has recorded the cost of a user', async () => {
    await workAll(await start());
    await read(...to(100));
    const run = await planWith({ cpuMinutes: 1 });
    expect(`${run.error} ${run.attemptError}`).toContain('has recorded its CPU time yet');
    await pool.query('update tandem.chunks set cpu_ms = 2 * scored');
    const planned = await planWith({ cpuMinutes: 0.001 });
    expect(planned).toMatchObject({ usersExpected: 30 });
  });

  test('drops the waiting chunks of the least read users when its CPU minutes are spent', async () => {
    await workAll(await start());
    await pool.query('update tandem.chunks set cpu_ms = 0.1 * scored');
    await read(...to(300));
    const run = await planWith({ cpuMinutes: 0.0005 });
    expect(run).toMatchObject({ usersExpected: 300, chunkCount: 3 });
    const current = (await store.find(run.id)) ?? run;
    const chunk = await claim(run.id, 0);
    await store.commit(current, chunk, { ...(await score(current, chunk)), cpuMs: 31 });
    expect(await store.find(run.id)).toMatchObject({ state: 'publishing', usersExpected: 100 });
    const { generation } = (await publishNow(store, run.id)) ?? {};
    expect(await usersOf(generation?.id)).toEqual(to(100));
  });

  test('includes contexts of transactions that committed some time after the base was begun', async () => {
    await workAll(await start());
    await change(7);
    await pool.query(
      `update tandem.user_contexts c set updated_at = g.started_at - interval '9 s' from tandem.generations g`,
    );
    expect(await chosenBy({ share: 0.001 })).toEqual([7]);
  });

  test('omits erased users', async () => {
    await workAll(await start());
    await read(1, 2, 3);
    await createErasureStore(pool).setTombstone('2');
    expect(await namesOf(await planWith({ share: 0.1 }))).toEqual([1, 3]);
  });
});

test('a run with a budget is rejected while an API or worker of another release is running', async () => {
  const enter = async (kind: ProcessKind) => {
    const register = createRegister(pool, { id: randomUUID(), kind, host: 'h', pid: 7, release: '0.1.0' });
    await register.beat([]);
    return register;
  };
  for (const kind of ['api', 'worker'] as const) {
    const register = await enter(kind);
    await expect(planWith({ share: 0.1 })).rejects.toMatchObject({ code: 'run_conflict', field: 'budget' });
    await register.leave();
  }
  const embedded = await enter('embedded');
  expect(await planWith({ share: 0.1 })).toMatchObject({ state: 'running' });
  await embedded.leave();
});

describe('the generation of the next such run', () => {
  test('carries over the rows of the previous one, with their labels and times', async () => {
    await workAll(await start());
    await read(1, 2);
    await change(1);
    const first = (await runWith({ share: 0.002 }))?.generation;
    await read(3, 4);
    await pool.query(`delete from tandem.read_demand where user_id in ('1', '2')`);
    const second = (await runWith({ share: 0.002 }))?.generation;
    expect(await rowsOf(second?.id)).toEqual([
      { user: 1, version: 1 },
      { user: 2, version: 0 },
      { user: 3, version: 0 },
      { user: 4, version: 0 },
    ]);
    expect(second).toMatchObject({ users: 4, usersLeft: USERS - 4, baseNumber: 1, number: 3 });
    const times = await query<{ computedAt: Date; id: string }>(pool, {
      text: `select generation_id as id, computed_at as "computedAt" from tandem.predictions where user_id = '1' and generation_id = any($1)`,
      values: [[first?.id, second?.id]],
    });
    expect(times[0]?.computedAt).toEqual(times[1]?.computedAt);
  });

  test('covers all users after a bulk change of a watched source, and records the reason', async () => {
    await workAll(await start());
    await read(1);
    await runWith({ share: 0.001 });
    await changeInBulk();
    expect(await runWith({ share: 0.001 })).toMatchObject({
      note: expect.stringContaining('changed in bulk after generation 1, the last of all users'),
      generation: { users: USERS, baseId: null },
    });
    expect(await planWith({ share: 0.001 })).toMatchObject({ usersExpected: 1 });
  });

  test('covers all users when more than half of the users have a row above the base', async () => {
    await workAll(await start());
    await read(...to(501));
    expect(await runWith({ share: 0.5 })).toMatchObject({ generation: { users: 500, baseNumber: 1 } });
    await pool.query('truncate tandem.read_demand');
    await read(501);
    expect(await runWith({ share: 0.001 })).toMatchObject({ generation: { users: 501, baseNumber: 1 } });
    expect(await runWith({ share: 0.001 })).toMatchObject({
      note: expect.stringContaining('more than 50 % of the users have a row above generation 1'),
      generation: { users: USERS, baseId: null },
    });
  });

  test('carries nothing over after its publication, however late its worker is', async () => {
    await workAll(await start());
    await read(1);
    const run = await planWith({ share: 0.001 });
    const first = (await workAll(run))?.generation;
    await pool.query('truncate tandem.read_demand');
    await read(2);
    await runWith({ share: 0.001 });
    await carryRows(pool, (await store.find(run.id)) ?? run, new AbortController().signal);
    expect(await usersOf(first?.id)).toEqual([1]);
    expect(await generations.find(first?.id ?? '')).toMatchObject({ users: 1, usersLeft: USERS - 1 });
  });

  test('carries over no erased user, however late earlier rows are deleted', async () => {
    await workAll(await start());
    await read(1, 2);
    await runWith({ share: 0.002 });
    await read(3);
    await pool.query(`delete from tandem.read_demand where user_id in ('1', '2')`);
    const erasures = createErasureStore(pool);
    const tombstone = await erasures.setTombstone('1');
    const run = await planWith({ share: 0.001 });
    await erasures.setTombstone('2');
    const { generation } = (await workAll(run)) ?? {};
    expect(await usersOf(generation?.id)).toEqual([3]);
    expect(generation).toMatchObject({ users: 1 });
    expect(tombstone).toBeDefined();
    const numbers = await query<{ number: number }>(pool, { text: 'select number from tandem.erasures' });
    await deletePredictionsOf(
      pool,
      numbers.map(({ number }) => number),
    );
    const left = await query(pool, { text: `select from tandem.predictions where user_id in ('1', '2')` });
    expect(left).toEqual([]);
  });
});

describe('a base', () => {
  test('is kept as long as a generation above it, whatever the rules of retention', async () => {
    const base = (await workAll(await start()))?.generation;
    await read(1);
    for (let i = 0; i < 5; i++) await runWith({ share: 0.001 });
    const dropped = await generations.dropRetired();
    expect(dropped.map(({ number }) => number)).toEqual([2, 3]);
    // Drops like a worker of an earlier release.
    const drop = pool.query(`update tandem.generations set state = 'dropped' where id = $1`, [base?.id]);
    await expect(drop).rejects.toMatchObject({ code: '55P03' });
    await expect(pool.query(`update tandem.generations set state = 'dropped' where number = 4`)).resolves.toBeDefined();
  });

  test('is current again after a rollback, and serves again after a rollback to a generation above it', async () => {
    await workAll(await start());
    await read(1);
    await runWith({ share: 0.001 });
    const request = { predictor: 'visits', actor: 'test' };
    expect((await generations.rollBack({ ...request, to: 1 })).to).toMatchObject({ number: 1, baseId: null });
    expect((await generations.inForce()).map(({ number }) => number)).toEqual([1]);
    expect((await generations.rollBack({ ...request, to: 2 })).to).toMatchObject({ number: 2, baseNumber: 1 });
    expect((await generations.inForce()).map(({ number }) => number)).toEqual([1, 2]);
  });

  test('that no longer exists makes the run score all users', async () => {
    await workAll(await start());
    await read(1);
    await pool.query(`update tandem.generations set state = 'building' where number = 1`);
    expect(await planWith({ share: 0.1 })).toMatchObject({ usersExpected: USERS });
  });
});

test('users with rows from before a bulk change count as stale, except during a run of all users', async () => {
  await change(1, 2, 3);
  await workAll(await start());
  await read(1);
  await runWith({ share: 0.001 });
  await changeInBulk();
  await ask({ kind: 'all' });
  expect(await namesOf(await start({ kind: 'stale' }))).toEqual([1, 2, 3]);
});

test('a run of all users is compared with the served prediction of each user', async () => {
  await workAll(await start());
  await read(...to(100));
  const outcome = await runWith({ share: 0.1 });
  expect(outcome?.report?.figures?.users).toMatchObject({ before: 100, now: 100, both: 100, added: 0, gone: 0 });
  const whole = await workAll(await start());
  expect(whole?.report?.figures?.users).toMatchObject({ before: USERS, now: USERS, added: 0, gone: 0 });
});

test('a run that restarts in another history keeps its base', async () => {
  const base = (await workAll(await start()))?.generation;
  await read(1);
  const run = await planWith({ share: 0.001 });
  await pool.query('update tandem.history_rotation set rotation = gen_random_uuid()');
  await publishNow(store, run.id).catch(() => undefined);
  const again = await workAll((await store.find(run.id)) ?? run);
  expect((await store.find(run.id))?.generationId).not.toBe(run.generationId);
  expect(again?.generation).toMatchObject({ baseId: base?.id, startedAt: base?.startedAt, users: 1 });
});
