import type { FeatureKind } from '@tandem/freshness/predictor';
import { planNow, publishNow } from '@tandem/prediction/runs/steps.fixture';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { createGenerationStore } from '../generations/generations.ts';
import { createRunStore } from '../runs/run-store.ts';
import { query, transaction } from '../sql/database.ts';
import { createTestDatabase, createVisits, type TestDatabase, visitsPredictor } from '../store.fixture.ts';
import { createEventStore } from './events.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
beforeEach(async () => {
  await database.reset();
  await createVisits(database.pool, 10);
});
afterAll(() => database.drop());

/** The predictor `visits` with event types and features of one's own. */
function predictorWith({ events = ['order.*'], features = ['orders'], model = 'a model', name = 'visits' }) {
  const base = visitsPredictor({ model, name });
  const columns = features.map((feature) => ({ name: feature, kind: 'integer' as FeatureKind }));
  return {
    ...base,
    policy: { ...base.policy, freshness: { ...base.policy.freshness, events } },
    definition: { ...base.definition, query: { ...base.definition.query, columns } },
  };
}

const adoptThese = (...predictors: ReturnType<typeof predictorWith>[]) =>
  adopt(database.pool, { predictors, actor: 'test' });

let count = 0;
const send = (userId: string, type: string, data: Record<string, unknown> | null = null) =>
  createEventStore(database.pool).accept([{ source: 't', id: `${++count}`, type, userId, time: null, data }]);

async function contextOf(userId: string) {
  const [row] = await query<{ touched: Record<string, number>; features: Record<string, { value: unknown }> }>(
    database.pool,
    { text: 'select touched, features from tandem.user_contexts where user_id = $1', values: [userId] },
  );
  return row;
}
const touchedOf = async (userId: string) => (await contextOf(userId))?.touched;
const featuresOf = async (name = 'visits') =>
  (
    await query<{ features: Record<string, string> }>(database.pool, {
      text: 'select event_features as features from tandem.predictors where name = $1',
      values: [name],
    })
  )[0]?.features;
const waiting = async () =>
  (
    await query(database.pool, {
      text: `select from pg_stat_activity where wait_event = 'advisory' and datname = current_database()`,
    })
  ).length;

async function runAll(): Promise<void> {
  const store = createRunStore(database.pool);
  const { run } = await store.create({
    predictor: 'visits',
    scope: { kind: 'all' },
    reason: 'test',
    scheduleSlot: null,
  });
  await planNow(store, run.id);
  await database.pool.query(`update tandem.chunks set state = 'committed', scored = 10`);
  expect(await publishNow(store, run.id)).toMatchObject({ state: 'done' });
}

describe('a predictor that is not served', () => {
  test('is touched all the same and its values are kept, but it refuses nothing', async () => {
    const other = predictorWith({ name: 'other', features: ['visits'] });
    await adoptThese(predictorWith({}), other);
    await adoptThese(predictorWith({}));
    await send('1', 'page.viewed', { visits: 4 });
    await send('2', 'order.paid', { visits: 'not a number' });
    expect(await touchedOf('1')).toEqual({ other: 1 });
    expect(await touchedOf('2')).toEqual({ visits: 1, other: 1 });
    expect((await contextOf('1'))?.features).toMatchObject({ visits: { value: 4 } });
    await adoptThese(predictorWith({}), other);
    await expect(send('3', 'order.paid', { visits: 'not a number' })).rejects.toMatchObject({ code: 'invalid_input' });
  });
});

describe('what events may carry', () => {
  const first = predictorWith({ features: ['orders', 'old'] });
  const second = predictorWith({ features: ['orders', 'fresh'], model: 'second' });

  test('is of every version that may be served without a new run, and ends with its last generation', async () => {
    await adoptThese(first);
    await runAll();
    await adoptThese(second);
    expect(await featuresOf()).toEqual({ orders: 'integer', old: 'integer', fresh: 'integer' });
    await send('1', 'page.viewed', { old: 7 });
    await createGenerationStore(database.pool).rollBack({ predictor: 'visits', to: 1, actor: 'ops' });
    expect(await contextOf('1')).toMatchObject({ touched: { visits: 1 }, features: { old: { value: 7 } } });
    await adoptThese(predictorWith({ features: ['third'], model: 'third' }));
    await database.pool.query(`update tandem.generations set left_at = now() - interval '31 days'`);
    expect(await createGenerationStore(database.pool).dropRetired()).toHaveLength(1);
    expect(await featuresOf()).toEqual({ third: 'integer' });
  });

  test('has of two kinds the one that is served', async () => {
    await adoptThese(first);
    await runAll();
    const text = { ...second.definition.query, columns: [{ name: 'orders', kind: 'string' as FeatureKind }] };
    await adoptThese({ ...second, definition: { ...second.definition, query: text } });
    expect(await featuresOf()).toEqual({ orders: 'string', old: 'integer' });
    await createGenerationStore(database.pool).rollBack({ predictor: 'visits', to: 1, actor: 'ops' });
    expect(await featuresOf()).toEqual({ orders: 'integer', old: 'integer' });
  });

  test('changes with a rollback to a version that was unheard of: every context concerns it from then on', async () => {
    await adoptThese(first);
    await runAll();
    await adoptThese(second);
    // As where a run outlived its version: its generation came when the events' rules had forgotten it.
    await database.pool.query(`update tandem.predictors set event_features = event_features - 'old'`);
    await send('1', 'page.viewed', { old: 7 });
    expect(await touchedOf('1')).toEqual({});
    await createGenerationStore(database.pool).rollBack({ predictor: 'visits', to: 1, actor: 'ops' });
    expect(await touchedOf('1')).toEqual({ visits: 1 });
    expect(await featuresOf()).toMatchObject({ old: 'integer' });
  });
});

describe('new rules', () => {
  test('reach back: whom an earlier event may concern by them is touched by the last', async () => {
    await adoptThese(predictorWith({}));
    await send('1', 'page.viewed');
    await send('1', 'order.paid');
    await send('1', 'page.viewed');
    await send('2', 'page.viewed');
    await adoptThese(predictorWith({ events: ['order.*', 'page.*'] }));
    expect([await touchedOf('1'), await touchedOf('2')]).toEqual([{ visits: 3 }, { visits: 1 }]);
  });

  test('of a model version that served before reach back too; a new version has nothing that could be old', async () => {
    const [one, two] = [predictorWith({ features: ['a'] }), predictorWith({ features: ['b'], model: 'second' })];
    await adoptThese(one);
    await adoptThese(two);
    await send('1', 'page.viewed', { a: 1 });
    expect(await touchedOf('1')).toEqual({});
    await adoptThese(predictorWith({ features: ['c'], model: 'third' }));
    expect(await touchedOf('1')).toEqual({});
    await adoptThese(one);
    expect(await touchedOf('1')).toEqual({ visits: 1 });
  });

  test('wait for an application that sent an event and has not committed, so that it is read before anything is scored', async () => {
    await adoptThese(predictorWith({}));
    let adopted = false;
    let adopting: Promise<unknown> = Promise.resolve();
    await transaction(database.pool, async (db) => {
      await db.query(`insert into tandem.events (user_id, type) values ('1', 'page.viewed')`);
      adopting = adoptThese(
        predictorWith({ events: ['page.*'] }),
        predictorWith({ name: 'pages', events: ['page.*'] }),
      ).then(() => {
        adopted = true;
      });
      await expect.poll(waiting).toBe(1);
      // It steps aside again and again: nobody else's events wait for that application.
      for (let i = 0; i < 20; i++) expect((await send('2', 'page.viewed'))[0]?.status).toBe('accepted');
      expect(adopted).toBe(false);
    });
    await adopting;
    expect(await touchedOf('1')).toEqual({ visits: 1 });
    await send('1', 'page.viewed');
    expect(await touchedOf('1')).toEqual({ visits: 2, pages: 2 });
  });

  test('give up on an application that stays open, and say how to end it; the same rules need not wait', async () => {
    await adoptThese(predictorWith({}));
    await transaction(database.pool, async (db) => {
      await db.query(`insert into tandem.events (user_id, type) values ('1', 'page.viewed')`);
      const impatient = adopt(database.pool, {
        predictors: [predictorWith({ events: ['*'] })],
        actor: 'test',
        waitMs: 500,
      });
      await expect(impatient).rejects.toMatchObject({
        code: 'unavailable',
        message: 'The change waited 0.5 s for transactions that have sent events.',
        remedy: expect.stringContaining('pg_stat_activity'),
        detail: { pid: expect.any(Number), application: 'offline-store-test' },
      });
      await adoptThese(predictorWith({ model: 'better' }));
    });
    expect(await touchedOf('1')).toEqual({});
  });

  test('end an application’s transaction whose snapshot is from before them', async () => {
    await adoptThese(predictorWith({}));
    const late = transaction(database.pool, async (db) => {
      await db.query('set transaction isolation level repeatable read');
      await db.query('select from tandem.settings');
      await adoptThese(predictorWith({ events: ['page.*'] }));
      await db.query(`insert into tandem.events (user_id, type) values ('1', 'page.viewed')`);
    });
    await expect(late).rejects.toMatchObject({ cause: { code: '40001' } });
    await transaction(database.pool, async (db) => {
      await db.query('set transaction isolation level serializable');
      await db.query(`insert into tandem.events (user_id, type) values ('1', 'page.viewed')`);
    });
    expect(await touchedOf('1')).toEqual({ visits: 1 });
  });

  test('and crowds of senders do not starve each other', async () => {
    await adoptThese(predictorWith({}));
    let sending = true;
    const sender = async (n: number) => {
      for (let i = 0; sending; i++) await send(`${(n * 7 + i) % 10}`, 'order.paid');
    };
    const senders = [1, 2, 3, 4, 5, 6].map(sender);
    for (let round = 0; round < 10; round++) await adoptThese(predictorWith({ events: [`kind${round}.*`, 'order.*'] }));
    sending = false;
    await expect(Promise.all(senders)).resolves.toBeDefined();
  });
});
