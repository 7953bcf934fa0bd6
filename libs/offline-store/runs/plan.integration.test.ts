import { planNow } from '@tandem/prediction/runs/steps.fixture';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { adopt } from '../adopt.ts';
import { createEventStore } from '../events/events.ts';
import { createPool } from '../sql/database.ts';
import { visitsPredictor } from '../store.fixture.ts';
import { createErasureStore } from '../users/erasures.ts';
import { createRunStore } from './run-store.ts';
import { createRunsWorld } from './runs.fixture.ts';

const { database, store, renew, ask } = await createRunsWorld({ users: 20 });
beforeEach(renew);
afterAll(() => database.drop());

describe('planning', () => {
  test('lets one of many concurrent stale runs become a run of all users', async () => {
    const users = Array.from({ length: 10 }, (_, i) => `${i + 1}`);
    await createEventStore(database.pool).accept(
      users.map((userId) => ({ source: 't', id: userId, type: 'x', userId, time: null, data: null })),
    );
    for (let round = 0; round < 10; round++) {
      const asked = await Promise.all(Array.from({ length: 6 }, () => ask({ kind: 'stale' })));
      const planned = await Promise.all(asked.map((run) => planNow(store, run.id)));
      expect(planned.map((run) => run.scope).sort()).toEqual(['all', 'stale', 'stale', 'stale', 'stale', 'stale']);
      await Promise.all(planned.map((run) => store.cancel(run.id)));
    }
  });

  test('rejects a run of all users while a stale run has become one', async () => {
    await createEventStore(database.pool).accept([
      { source: 't', id: '1', type: 'x', userId: '1', time: null, data: null },
    ]);
    await database.pool.query('delete from visits where user_id > 2');
    const run = await ask({ kind: 'stale' });
    expect(await planNow(store, run.id)).toMatchObject({ scope: 'all' });
    await expect(ask({ kind: 'all' })).rejects.toMatchObject({ code: 'run_conflict', field: 'scope' });
  });

  test('reads the feature query once, even if users were erased', async () => {
    await database.pool.query(`create or replace function scanned() returns int language plpgsql volatile as
      $$ begin raise notice 'scanned'; return 1; end $$`);
    const { definition } = visitsPredictor();
    const sql = `select v.* from (${definition.query.sql}) v cross join (select scanned() as n offset 0) noted`;
    const predictor = visitsPredictor({ definition: { ...definition, query: { ...definition.query, sql } } });
    await adopt(database.pool, { predictors: [predictor], actor: 'test' });
    await createErasureStore(database.pool).setTombstone('3');
    const run = await ask({ kind: 'all' });
    const pool = createPool({ url: database.url, max: 2, applicationName: 'plan-test' });
    const notices: (string | undefined)[] = [];
    pool.on('connect', (client) => client.on('notice', ({ message }) => notices.push(message)));
    expect(await planNow(createRunStore(pool), run.id)).toMatchObject({ state: 'running', usersExpected: 20 });
    expect(notices).toEqual(['scanned']);
    await pool.end();
  });

  test('fails a run with a broken feature query, with the reason, and then accepts another run', async () => {
    const run = await ask({ kind: 'all' });
    await database.pool.query('alter table visits rename column user_id to id');
    const failed = await planNow(store, run.id);
    expect(failed).toMatchObject({ state: 'failed', error: expect.stringContaining('user_id') });
    await database.pool.query('alter table visits rename column id to user_id');
    const next = await ask({ kind: 'all' });
    expect(await planNow(store, next.id)).toMatchObject({ state: 'running', chunkCount: 1 });
  });
});
