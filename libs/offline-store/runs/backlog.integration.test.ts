import { planNow } from '@tandem/prediction/runs/steps.fixture';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { createOutbox } from '../events/outbox.ts';
import { createTestDatabase, createVisits, type TestDatabase, visitsPredictor } from '../store.fixture.ts';
import { findBacklog } from './backlog.ts';
import { createRunStore } from './run-store.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
afterAll(() => database?.drop());
beforeEach(async () => {
  await database.reset();
  await createVisits(database.pool, 250);
  await adopt(database.pool, { predictors: [visitsPredictor()], actor: 'test' });
});

const look = () => findBacklog(database.pool);

test('the outbox is counted, and its oldest entry has an age on Postgres’ clock', async () => {
  expect((await look()).outbox).toEqual({ entries: 0, oldestSeconds: 0 });
  await database.pool.query("insert into tandem.events (user_id) values ('1'), ('2')");
  await database.pool.query("update tandem.outbox set at = clock_timestamp() - interval '90 s' where user_id = '1'");
  const { outbox } = await look();
  expect(outbox.entries).toBe(2);
  expect(outbox.oldestSeconds).toBeGreaterThanOrEqual(90);
  expect(outbox.oldestSeconds).toBeLessThan(300);
  for (const slot of await createOutbox(database.pool).slots()) await slot.relay(10, async () => {});
  expect((await look()).outbox).toEqual({ entries: 0, oldestSeconds: 0 });
});

test('only unfinished runs are reported, with their chunks', async () => {
  expect((await look()).runs).toEqual([]);
  const store = createRunStore(database.pool);
  const { run } = await store.create({
    predictor: 'visits',
    scope: { kind: 'all' },
    reason: 'test',
    scheduleSlot: null,
  });
  expect((await look()).runs).toMatchObject([{ predictor: 'visits', state: 'planned', runs: 1, chunksOpen: 0 }]);
  const { chunkCount } = await planNow(store, run.id);
  expect(chunkCount).toBeGreaterThan(1);
  await store.claim(run.id, 0, 60_000);
  expect((await look()).runs).toMatchObject([
    { predictor: 'visits', state: 'running', chunksOpen: chunkCount, chunksCommitted: 0, chunksFailed: 0 },
  ]);
  await store.cancel(run.id);
  expect((await look()).runs).toEqual([]);
});

test('a current generation has an age, unless its predictor is no longer served', async () => {
  expect((await look()).generations).toEqual([]);
  const store = createRunStore(database.pool);
  const { run } = await store.create({
    predictor: 'visits',
    scope: { kind: 'all' },
    reason: 'test',
    scheduleSlot: null,
  });
  await planNow(store, run.id);
  // Changes the row as a publication an hour ago would.
  await database.pool.query(
    `update tandem.generations set state = 'published', started_at = clock_timestamp() - interval '1 hour'`,
  );
  await database.pool.query('update tandem.arms set generation_id = (select id from tandem.generations)');
  const [age] = (await look()).generations;
  expect(age?.predictor).toBe('visits');
  expect(age?.ageSeconds).toBeGreaterThanOrEqual(3_600);
  await database.pool.query('update tandem.predictors set active = false');
  expect((await look()).generations).toEqual([]);
});

test('a rollout is reported while it is preparing', async () => {
  await database.pool.query(
    `insert into tandem.rollouts (predictor, number, kind, salt, plan, overlay_floor, created_by, created_at)
      values ('visits', 1, 'shadow', 's', '{}', 1, 'test', clock_timestamp() - interval '2 hours')`,
  );
  const [one] = (await look()).preparing;
  expect(one?.predictor).toBe('visits');
  expect((one?.seconds ?? 0) - 7_200).toBeGreaterThanOrEqual(0);
  expect((one?.seconds ?? 0) - 7_200).toBeLessThan(300);
  await database.pool.query(`update tandem.rollouts set state = 'running'`);
  expect((await look()).preparing).toEqual([]);
});

test('a rollout past a deadline is reported while it is preparing, or while its step holds', async () => {
  const analysis = {
    ...{ preparingDeadlineMs: 3_600_000, holdDeadlineMs: 600_000, minStepMs: 60_000 },
    outcomes: [
      { windowMs: 1_800_000, guardrail: true },
      { windowMs: 1e12, guardrail: false },
    ],
  };
  await database.pool.query('delete from tandem.rollouts');
  const { rows } = await database.pool.query<{ id: string }>(
    `insert into tandem.rollouts (predictor, number, kind, salt, plan, overlay_floor, created_by, created_at)
      values ('visits', 1, 'canary', 's', $1, 1, 'test', clock_timestamp() - interval '1 hour 50 s') returning id`,
    [JSON.stringify({ analysis })],
  );
  const overdue = async () => (await look()).overdue.map(({ state, seconds }) => [state, Math.floor(seconds / 50)]);
  expect(await overdue()).toEqual([['preparing', 1]]);
  const step = (minutes: string) =>
    database.pool.query(
      `update tandem.rollouts set state = 'running', step_started_at = clock_timestamp() - $1 * interval '1 minute'`,
      [minutes],
    );
  await step('39');
  expect(await overdue()).toEqual([]);
  await step('41');
  expect(await overdue()).toEqual([['holding', 1]]);
  const judge = (verdict: string) =>
    database.pool.query(
      `insert into tandem.rollout_checks (rollout_id, step, verdict, applied, figures) values ($1, 0, $2, false, '{}')`,
      [rows[0]?.id, verdict],
    );
  await judge('hold');
  expect(await overdue()).toEqual([['holding', 1]]);
  await judge('promote');
  expect(await overdue()).toEqual([]);
  await judge('roll_back');
  expect(await overdue()).toHaveLength(1);
  await database.pool.query(`update tandem.rollouts set state = 'held'`);
  expect(await overdue()).toEqual([]);
});

test('a rollout without a look for two intervals and a minute is reported, even if an operator holds it', async () => {
  await database.pool.query('delete from tandem.rollouts');
  const { rows } = await database.pool.query<{ id: string }>(
    `insert into tandem.rollouts (predictor, number, kind, state, salt, plan, overlay_floor, created_by, step_started_at)
      values ('visits', 1, 'canary', 'running', 's', $1, 1, 'test', clock_timestamp() - interval '230 s') returning id`,
    [JSON.stringify({ analysis: { intervalMs: 60_000 } })],
  );
  const overdue = async () => (await look()).overdue.map(({ state, seconds }) => [state, Math.floor(seconds / 50)]);
  const judge = (reason: string) =>
    database.pool.query(
      `insert into tandem.rollout_checks (rollout_id, step, verdict, applied, figures) values ($1, 0, 'hold', false, $2)`,
      [rows[0]?.id, JSON.stringify({ reason })],
    );
  expect(await overdue()).toEqual([['unjudged', 1]]);
  await judge('look_failed');
  await database.pool.query(`update tandem.rollouts set state = 'held'`);
  expect(await overdue()).toEqual([['unjudged', 1]]);
  await judge('inconclusive');
  expect(await overdue()).toEqual([]);
});
