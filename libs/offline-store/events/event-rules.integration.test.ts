import type { FeatureKind } from '@tandem/freshness/predictor';
import { planNow, publishNow } from '@tandem/prediction/runs/steps.fixture';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { createAuthority } from '../certificate/authority.ts';
import { createGenerationStore } from '../generations/generations.ts';
import { findModelVersion } from '../models/registry.ts';
import { createRunStore } from '../runs/run-store.ts';
import { query, transaction } from '../sql/database.ts';
import {
  createTestDatabase,
  createVisits,
  patientFeatures,
  type TestDatabase,
  visitsPredictor,
} from '../store.fixture.ts';
import { createEventStore } from './events.ts';
import { rewriteContexts } from './pending-patterns.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
});
beforeEach(async () => {
  await database.reset();
  await createVisits(database.pool, 10);
});
afterAll(() => database.drop());

/** Returns the predictor `visits` with the test's event types and features. */
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
  createEventStore(database.pool, { lockTimeoutMs: 20_000 }).accept([
    { source: 't', id: `${++count}`, type, userId, time: null, data },
  ]);

async function contextOf(userId: string) {
  const [row] = await query<{ touched: Record<string, number>; features: Record<string, { value: unknown }> }>(
    database.pool,
    { text: 'select touched, features from tandem.user_contexts where user_id = $1', values: [userId] },
  );
  return row;
}
const touchedOf = async (userId: string) => (await contextOf(userId))?.touched;
const pending = async () =>
  (
    await query<{ name: string }>(database.pool, { text: 'select name from tandem.predictors where patterns_pending' })
  ).map(({ name }) => name);
/** Returns the concerning versions of the predictor `visits`, from the certificate and from the feature statement. */
async function toldOf(userId: string): Promise<number[]> {
  const authority = createAuthority(database.pool, { timeoutMs: 20_000 });
  const certificate = await authority.certify([userId], 'visits');
  const version = await findModelVersion(database.pool, certificate.assignments('visits')?.stable.modelVersionId ?? '');
  const source = patientFeatures(database.pool);
  const reads = [await source.readUsers(version, [userId]), await source.readUsers(version, [userId], 'with rows')];
  await authority.close();
  return [certificate, ...reads.map((read) => read.certificate)].map((one) => one.user(userId, 'visits').touched);
}
const featuresOf = async (name = 'visits') =>
  (
    await query<{ features: Record<string, string> }>(database.pool, {
      text: 'select event_features as features from tandem.predictors where name = $1',
      values: [name],
    })
  )[0]?.features;
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
  test('records its events and their values, but rejects no event', async () => {
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

describe('a context', () => {
  test('records whether its last event concerned all predictors, which saves the lookup of each predictor', async () => {
    await adoptThese(predictorWith({ events: ['*'] }), predictorWith({ name: 'orders' }));
    await send('1', 'order.paid');
    await send('2', 'order.paid');
    await send('2', 'page.viewed');
    const contexts = await query(database.pool, {
      text: 'select user_id as user, version, touched_all as "touchedAll" from tandem.user_contexts order by 1',
    });
    expect(contexts).toEqual([
      { user: '1', version: 1, touchedAll: 1 },
      { user: '2', version: 2, touchedAll: 1 },
    ]);
    const authority = createAuthority(database.pool, { timeoutMs: 20_000 });
    const certificate = await authority.certify(['1', '2'], 'visits', 'orders');
    await authority.close();
    const told = ['1', '2'].map((id) => ['visits', 'orders'].map((name) => certificate.user(id, name).touched));
    expect(told).toEqual([
      [1, 1],
      [2, 1],
    ]);
  });
});

describe('an event’s features', () => {
  const first = predictorWith({ features: ['orders', 'old'] });
  const second = predictorWith({ features: ['orders', 'fresh'], model: 'second' });

  test('are those of every version that may be served without a new run, until its last generation is dropped', async () => {
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

  test('have the stable version’s kind if two versions differ', async () => {
    await adoptThese(first);
    await runAll();
    const text = { ...second.definition.query, columns: [{ name: 'orders', kind: 'string' as FeatureKind }] };
    await adoptThese({ ...second, definition: { ...second.definition, query: text } });
    expect(await featuresOf()).toEqual({ orders: 'string', old: 'integer' });
    await createGenerationStore(database.pool).rollBack({ predictor: 'visits', to: 1, actor: 'ops' });
    expect(await featuresOf()).toEqual({ orders: 'integer', old: 'integer' });
  });

  test('change with a rollback to a version with unknown features: every event then concerns the predictor', async () => {
    await adoptThese(first);
    await runAll();
    await adoptThese(second);
    // The state after a run that outlived its version: its generation came when the rules of events no longer had its
    // features.
    await database.pool.query(`update tandem.predictors set event_features = event_features - 'old'`);
    await send('1', 'page.viewed', { old: 7 });
    expect(await touchedOf('1')).toEqual({});
    await createGenerationStore(database.pool).rollBack({ predictor: 'visits', to: 1, actor: 'ops' });
    expect(await pending()).toEqual(['visits']);
    await rewriteContexts(database.pool);
    expect(await touchedOf('1')).toEqual({ visits: 1 });
    expect(await featuresOf()).toMatchObject({ old: 'integer' });
  });
});

const WIDER = { events: ['order.*', 'page.*'] };
const sendIn = (db: pg.PoolClient, userId: string, type = 'page.viewed') =>
  db.query('insert into tandem.events (user_id, type) values ($1, $2)', [userId, type]);

describe('new rules of a served predictor', () => {
  test('apply to earlier events: each concerns the predictor, first by the flag and then by the rewritten contexts', async () => {
    await adoptThese(predictorWith({}));
    await send('1', 'page.viewed');
    await send('1', 'order.paid');
    await send('1', 'page.viewed');
    await send('2', 'page.viewed');
    await adoptThese(predictorWith(WIDER));
    expect([await touchedOf('1'), await touchedOf('2')]).toEqual([{ visits: 2 }, {}]);
    expect([await toldOf('1'), await toldOf('2')]).toEqual([
      [3, 3, 3],
      [1, 1, 1],
    ]);
    expect(await rewriteContexts(database.pool)).toBe(2);
    await send('2', 'cart.left');
    expect(await pending()).toEqual([]);
    expect([await touchedOf('1'), await touchedOf('2')]).toEqual([{ visits: 3 }, { visits: 1 }]);
    expect([await toldOf('1'), await toldOf('2')]).toEqual([
      [3, 3, 3],
      [1, 1, 1],
    ]);
  });

  test('apply to earlier events if the model version served before, but not for a new version', async () => {
    const [one, two] = [predictorWith({ features: ['a'] }), predictorWith({ features: ['b'], model: 'second' })];
    await adoptThese(one);
    await adoptThese(two);
    await send('1', 'page.viewed', { a: 1 });
    await adoptThese(predictorWith({ features: ['c'], model: 'third' }));
    expect([await touchedOf('1'), await pending()]).toEqual([{}, []]);
    await adoptThese(one);
    expect(await pending()).toEqual(['visits']);
    await rewriteContexts(database.pool);
    expect(await touchedOf('1')).toEqual({ visits: 1 });
  });

  test('apply to earlier events if another version with newly announced features has stored predictions', async () => {
    await adoptThese(predictorWith({ features: ['a'] }));
    await runAll();
    await adoptThese(predictorWith({ features: ['b'], model: 'second' }));
    // The state after a run that outlived its version: its generation exists, but its features are no longer known.
    await database.pool.query(`update tandem.predictors set event_features = '{"b": "integer"}'`);
    await send('1', 'page.viewed', { a: 1 });
    await adoptThese(predictorWith({ features: ['a'], model: 'third' }));
    expect(await pending()).toEqual(['visits']);
  });

  test('are rejected while a process of a release that does not know the flag is alive', async () => {
    await adoptThese(predictorWith({}));
    await database.pool.query(`insert into tandem.processes (id, kind, host, pid, release)
      values (gen_random_uuid(), 'api', 'old', 7, '0.1.0')`);
    await expect(adoptThese(predictorWith({ events: ['order.*', 'page.*'] }))).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('api 0.1.0, process 7 on old'),
    });
    expect(await pending()).toEqual([]);
    await database.pool.query(`update tandem.processes set seen_at = now() - interval '1 minute'`);
    await adoptThese(predictorWith({ events: ['order.*', 'page.*'] }));
    expect(await pending()).toEqual(['visits']);
  });

  test('do not wait for transactions; the rewrite waits for open ones, which may insert another context', async () => {
    await adoptThese(predictorWith({}));
    await transaction(database.pool, async (db) => {
      await sendIn(db, '1');
      await adoptThese(predictorWith(WIDER));
      expect((await send('2', 'page.viewed'))[0]?.status).toBe('accepted');
      expect([await rewriteContexts(database.pool), await pending()]).toEqual([0, ['visits']]);
    });
    expect([await touchedOf('1'), await toldOf('1')]).toEqual([{}, [1, 1, 1]]);
    await rewriteContexts(database.pool);
    expect([await touchedOf('1'), await pending()]).toEqual([{ visits: 1 }, []]);
  });

  test('rewrite no context that another transaction has locked; any worker continues with that context', async () => {
    await adoptThese(predictorWith({}));
    for (const userId of ['1', '2', '3']) await send(userId, 'page.viewed');
    await adoptThese(predictorWith(WIDER));
    await transaction(database.pool, async (db) => {
      await db.query(`select from tandem.user_contexts where user_id = '2' for update`);
      expect(await rewriteContexts(database.pool)).toBe(2);
      expect([await touchedOf('1'), await touchedOf('2')]).toEqual([{ visits: 1 }, {}]);
      expect(await pending()).toEqual(['visits']);
      expect((await send('1', 'order.paid'))[0]?.status).toBe('accepted');
    });
    await Promise.all([rewriteContexts(database.pool), rewriteContexts(database.pool)]);
    await rewriteContexts(database.pool);
    expect([await touchedOf('2'), await pending()]).toEqual([{ visits: 1 }, []]);
  });

  test('restart from the first context if more rules change during the rewrite', async () => {
    await adoptThese(predictorWith({}));
    for (const userId of ['1', '2']) await send(userId, 'page.viewed');
    await adoptThese(predictorWith(WIDER));
    await transaction(database.pool, async (db) => {
      await db.query(`select from tandem.user_contexts where user_id = '2' for update`);
      await rewriteContexts(database.pool);
      await send('1', 'cart.left');
      await adoptThese(predictorWith({ events: [...WIDER.events, 'cart.*'] }));
    });
    await rewriteContexts(database.pool);
    expect([await touchedOf('1'), await pending()]).toEqual([{ visits: 2 }, []]);
  });
});

describe('a stale run', () => {
  test('includes all users with events until all contexts record the concerning events', async () => {
    await adoptThese(predictorWith({}));
    await runAll();
    await send('1', 'page.viewed');
    await adoptThese(predictorWith(WIDER));
    const store = createRunStore(database.pool);
    const stale = { predictor: 'visits', scope: { kind: 'stale' }, reason: 'test', scheduleSlot: null } as const;
    const { run } = await store.create(stale);
    expect(await planNow(store, run.id)).toMatchObject({ usersExpected: 1 });
  });
});

describe('rules of a new predictor', () => {
  const pages = predictorWith({ name: 'pages', events: ['page.*'] });

  test('wait for an application that sent an event and has not committed, without delaying other events', async () => {
    await adoptThese(predictorWith({}));
    let adopted = false;
    let adopting: Promise<unknown> = Promise.resolve();
    await transaction(database.pool, async (db) => {
      await sendIn(db, '1');
      adopting = adoptThese(predictorWith({}), pages).then(() => {
        adopted = true;
      });
      const announced = `select from tandem.predictors where name = 'pages' and not active`;
      await expect.poll(async () => (await query(database.pool, { text: announced })).length).toBe(1);
      for (let i = 0; i < 20; i++) expect((await send('2', 'page.viewed'))[0]?.status).toBe('accepted');
      expect(adopted).toBe(false);
    });
    await adopting;
    await send('1', 'page.viewed');
    expect([await touchedOf('1'), await touchedOf('2')]).toEqual([{ pages: 2 }, { pages: 20 }]);
  });

  test('give up if an application stays open, and say how to end it; unchanged rules need not wait', async () => {
    await adoptThese(predictorWith({}));
    await transaction(database.pool, async (db) => {
      await sendIn(db, '1');
      const impatient = adopt(database.pool, { predictors: [predictorWith({}), pages], actor: 'test', waitMs: 500 });
      await expect(impatient).rejects.toMatchObject({
        code: 'unavailable',
        message: 'The change waited 0.5 s for transactions that have sent events.',
        remedy: expect.stringContaining('pg_stat_activity'),
        detail: { pid: expect.any(Number), application: 'offline-store-test' },
      });
      await adoptThese(predictorWith({ model: 'better' }));
      // Another process finds the rules announced, but must still wait for the unsettled change.
      const next = adopt(database.pool, { predictors: [predictorWith({}), pages], actor: 'test', waitMs: 200 });
      await expect(next).rejects.toMatchObject({ code: 'unavailable' });
    });
    await adoptThese(predictorWith({ model: 'better' }), pages);
    expect(await pending()).toEqual([]);
  });
});

describe('any change of rules', () => {
  test('ends an application’s transaction with a snapshot from before the change', async () => {
    await adoptThese(predictorWith({}));
    const late = transaction(database.pool, async (db) => {
      await db.query('set transaction isolation level repeatable read');
      await db.query('select from tandem.settings');
      await adoptThese(predictorWith(WIDER));
      await sendIn(db, '1');
    });
    await expect(late).rejects.toMatchObject({ cause: { code: '40001' } });
    await transaction(database.pool, async (db) => {
      await db.query('set transaction isolation level serializable');
      await sendIn(db, '1');
    });
    expect(await touchedOf('1')).toEqual({ visits: 1 });
  });

  test('and many concurrent senders do not starve each other', async () => {
    await adoptThese(predictorWith({}));
    let sending = true;
    const sender = async (n: number) => {
      for (let i = 0; sending; i++) await send(`${(n * 7 + i) % 10}`, 'order.paid');
    };
    const senders = [1, 2, 3, 4, 5, 6].map(sender);
    for (let round = 0; round < 10; round++) {
      await adoptThese(
        predictorWith({ events: [`kind${round}.*`, 'order.*'] }),
        predictorWith({ name: `new${round}` }),
      );
    }
    sending = false;
    await expect(Promise.all(senders)).resolves.toBeDefined();
    while ((await pending()).length > 0) await rewriteContexts(database.pool);
  });
});
