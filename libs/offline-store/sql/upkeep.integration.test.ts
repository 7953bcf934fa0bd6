import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { createEventStore } from '../events/events.ts';
import { createExpiries, findOverdue } from '../retention.ts';
import { createRunStore } from '../runs/run-store.ts';
import { createScheduleStore } from '../runs/schedules.ts';
import { createTestDatabase, createVisits, expireRows, type TestDatabase, visitsPredictor } from '../store.fixture.ts';
import { findUserContext } from '../users/user-context.ts';
import { query } from './database.ts';
import { findSettings, lockAssignments } from './settings.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
beforeEach(async () => {
  await database.reset();
  await createVisits(database.pool, 10);
  await adopt(database.pool, { predictors: [visitsPredictor()], actor: 'test' });
});
afterAll(() => database.drop());

const event = (id: string, userId: string, data: Record<string, unknown> | null = null) => ({
  source: 't',
  id,
  type: 'x',
  userId,
  time: null,
  data,
});
const countOf = async (from: string) =>
  (await query<{ n: number }>(database.pool, { text: `select count(*) as n from ${from}` }))[0]?.n;

test('event ids, and events of an earlier release, are deleted after the horizon; versions stay', async () => {
  await createEventStore(database.pool).accept([event('1', '1'), event('2', '2')]);
  await database.pool.query(`
    update tandem.event_ids set accepted_at = now() - interval '31 days' where id = '1';
    insert into tandem.events_before (seq, user_id, accepted_at) values (-1, '1', now() - interval '31 days'), (-2, '1', now())`);
  const overdue = async () =>
    (await findOverdue(database.pool)).filter(({ seconds }) => seconds > 80_000).map(({ table }) => table);
  expect(await overdue()).toEqual(['events_before', 'event_ids']);
  expect(await expireRows(database.pool)).toBe(2);
  expect(await expireRows(database.pool)).toBe(0);
  expect(await overdue()).toEqual([]);
  expect(await countOf('tandem.events_before')).toBe(1);
  expect(await countOf('tandem.event_ids')).toBe(1);
  expect(await countOf('tandem.user_contexts')).toBe(2);
});

test('the newest two hundred finished runs stay', async () => {
  await database.pool.query(`
    insert into tandem.runs (predictor, scope, model_version_id, overlay_floor, state, reason, history, created_at)
    select 'visits', 'users', id, 0, 'done', 'test', 'h', now() - n * interval '1 hour' from tandem.model_versions, generate_series(1, 205) n`);
  expect(await expireRows(database.pool)).toBe(5);
  expect(await countOf('tandem.runs')).toBe(200);
  expect(await countOf(`tandem.runs where created_at < now() - interval '200 hours 1 minute'`)).toBe(0);
});

test('the newest two hundred ended rollouts stay, and those with exposures; the others are deleted with their results', async () => {
  await database.pool.query(`
    insert into tandem.rollouts (predictor, number, kind, state, salt, plan, overlay_floor, created_by, ended_at)
      select 'visits', n, 'ab', case when n < 206 then 'ended' else 'running' end, 's', '{}', n, 'test',
        case when n < 206 then now() end
      from generate_series(1, 206) n;
    insert into tandem.rollout_checks (rollout_id, step, verdict, applied, figures)
      select id, 0, 'hold', false, '{}' from tandem.rollouts;
    insert into tandem.arm_counts (rollout_id, step, arm, source, process_id, counts)
      select id, 0, 'stable', 'batch', gen_random_uuid(), '{}' from tandem.rollouts;
    insert into tandem.exposures (rollout_id, step, user_id, arm, source, at, context_version)
      select id, 0, '1', 'stable', 'batch', now(), 0 from tandem.rollouts where number = 3`);
  expect(await expireRows(database.pool)).toBe(4);
  const numbers = (
    await query<{ number: number }>(database.pool, {
      text: 'select number from tandem.rollouts order by number limit 3',
    })
  ).map(({ number }) => number);
  expect(numbers).toEqual([3, 6, 7]);
  for (const table of ['rollout_checks', 'arm_counts']) expect(await countOf(`tandem.${table}`)).toBe(202);
  const revision = async () => (await findSettings(database.pool)).revision;
  const before = await revision();
  expect([await expireRows(database.pool), await revision()]).toEqual([0, before]);
});

test('all exposures of an ended rollout are deleted, even if one is deleted concurrently', async () => {
  await adopt(database.pool, { predictors: [visitsPredictor()], actor: 'test' });
  await database.pool.query(`
    with over as (
      insert into tandem.rollouts (predictor, number, kind, state, salt, plan, overlay_floor, created_by, ended_at)
      values ('visits', 1, 'ab', 'ended', 's', '{}', 0, 'test', now() - interval '200 days') returning id)
    insert into tandem.exposures (rollout_id, step, user_id, arm, source, at, context_version)
    select id, 0, n::text, 'stable', 'batch', now() - interval '200 days', 0 from over, generate_series(1, 12000) n`);
  const step = createExpiries(database.pool).find(({ name }) => name === 'exposures');
  const eraser = await database.pool.connect();
  await eraser.query(`begin; delete from tandem.exposures where user_id = '1000'`);
  const first = step?.expireSome();
  const waits = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
  await expect.poll(async () => (await database.pool.query(waits)).rowCount).toBe(1);
  await eraser.query('commit');
  eraser.release();
  expect(await first).toMatchObject({ rows: 9_999, isDone: false });
  while (!(await step?.expireSome())?.isDone);
  expect(await countOf('tandem.exposures')).toBe(0);
});

test('deletes wait for changes of assignments, like an erasure, without a deadlock', async () => {
  await database.pool.query(`
    with made as (
      insert into tandem.rollouts (predictor, number, kind, state, salt, plan, overlay_floor, created_by, ended_at)
      select 'visits', n, 'ab', 'ended', 's', '{}', n, 'test', now() from generate_series(1, 201) n returning id, number)
    insert into tandem.arm_overrides select id, '1', 'stable' from made where number = 1`);
  const other = await database.pool.connect();
  await other.query('begin');
  await lockAssignments(other);
  const expired = expireRows(database.pool);
  await expect
    .poll(() => countOf(`pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`))
    .toBe(1);
  await other.query(`set local lock_timeout = '500ms'`);
  expect((await other.query('delete from tandem.arm_overrides')).rowCount).toBe(1);
  await other.query('commit');
  other.release();
  expect(await expired).toBe(1);
});

test('a schedule starts after its adoption, then after its last slot', async () => {
  const schedules = createScheduleStore(database.pool);
  expect((await schedules.schedules()).schedules).toEqual([]);
  const predictor = visitsPredictor();
  const policy = { ...predictor.policy, batch: { ...predictor.policy.batch, schedule: '0 2 * * *' } };
  await adopt(database.pool, { predictors: [{ ...predictor, policy }], actor: 'test' });
  const first = await schedules.schedules();
  expect(first.schedules).toMatchObject([{ predictor: 'visits', schedule: '0 2 * * *' }]);
  expect(first.now.getTime() - (first.schedules[0]?.after.getTime() ?? 0)).toBeLessThan(10_000);
  const slot = new Date('2031-01-01T02:00:00Z');
  await createRunStore(database.pool).create({
    predictor: 'visits',
    scope: { kind: 'all' },
    reason: 'schedule',
    scheduleSlot: slot,
  });
  expect((await schedules.schedules()).schedules[0]?.after).toEqual(slot);
});

test('a slot that was run is not due again when its run has expired', async () => {
  const slot = new Date('2031-01-01T02:00:00Z');
  const predictor = visitsPredictor();
  const policy = { ...predictor.policy, batch: { ...predictor.policy.batch, schedule: '0 2 * * *' } };
  await adopt(database.pool, { predictors: [{ ...predictor, policy }], actor: 'test' });
  const store = createRunStore(database.pool);
  const ask = (scheduleSlot: Date) =>
    store.create({ predictor: 'visits', scope: { kind: 'all' }, reason: 'schedule', scheduleSlot });
  await store.cancel((await ask(slot)).run.id);
  await store.cancel((await ask(new Date(slot.getTime() - 86_400_000))).run.id);
  await database.pool.query('delete from tandem.runs');
  expect((await createScheduleStore(database.pool).schedules()).schedules[0]?.after).toEqual(slot);
});

test('overlay entries are deleted with the last arm or kept generation of their model version', async () => {
  const versionIds = async () =>
    (await query<{ id: string }>(database.pool, { text: 'select id from tandem.model_versions order by number' })).map(
      ({ id }) => id,
    );
  await adopt(database.pool, { predictors: [visitsPredictor({ model: 'kept' })], actor: 'test' });
  await adopt(database.pool, { predictors: [visitsPredictor({ model: 'served' })], actor: 'test' });
  await database.pool.query(`
    with run as (insert into tandem.runs (predictor, scope, model_version_id, overlay_floor, reason, history)
      select 'visits', 'all', id, 0, 'test', 'h' from tandem.model_versions where number = 2 returning *)
    insert into tandem.generations (predictor, number, model_version_id, run_id, history, buckets, state)
      select predictor, 1, model_version_id, id, history, 1, 'published' from run`);
  await database.pool.query(`
    insert into tandem.overlay select 'visits', n::text, id, 0, 'h', 1, 'live', now(), '\\x00'
    from tandem.model_versions, generate_series(1, 20) n`);
  expect(await expireRows(database.pool)).toBe(20);
  const [gone, kept, served] = await versionIds();
  const left = async (id = '') => countOf(`tandem.overlay where model_version_id = '${id}'`);
  expect([await left(gone), await left(kept), await left(served)]).toEqual([0, 20, 20]);
  await database.pool.query(`update tandem.generations set state = 'dropped'`);
  expect(await expireRows(database.pool)).toBe(20);
  expect([await left(kept), await left(served)]).toEqual([0, 20]);
  expect(await expireRows(database.pool)).toBe(0);
});

test('the context of a user has the values of events; an erased or unknown user has none', async () => {
  await createEventStore(database.pool).accept([event('1', '3', { orders: 9 })]);
  expect(await findUserContext(database.pool, '3')).toMatchObject({
    features: { orders: { value: 9, source: 't', id: '1' } },
    updatedAt: expect.any(Date),
  });
  expect(await findUserContext(database.pool, '4')).toEqual({ features: {}, updatedAt: null });
  await database.pool.query(`update tandem.user_contexts set version = 2, deleted_version = 2`);
  expect(await findUserContext(database.pool, '3')).toMatchObject({ features: {} });
});

test('tables whose rows expire are vacuumed before a twentieth is dead; contexts, of which none is deleted, by default', async () => {
  const { rows } = await database.pool.query<{ name: string; share: number | null }>(
    `select relname as name, (select option_value::float8 from pg_options_to_table(reloptions)
        where option_name = 'autovacuum_vacuum_scale_factor') as share
      from pg_class where relnamespace = 'tandem'::regnamespace and relname = any ($1) order by 1`,
    [['event_ids', 'exposures', 'outcomes', 'overlay', 'read_demand', 'user_contexts']],
  );
  expect(rows.map(({ name, share }) => [name, share])).toEqual([
    ['event_ids', 0.02],
    ['exposures', 0.05],
    ['outcomes', 0.02],
    ['overlay', 0.05],
    ['read_demand', 0.05],
    ['user_contexts', null],
  ]);
});
