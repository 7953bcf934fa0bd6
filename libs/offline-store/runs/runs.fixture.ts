/** Fixtures for tests of runs: the predictor `visits` on a separate database, and its run store. */

import type { Budget } from '@tandem/prediction/runs/budget';
import type { NewRun } from '@tandem/prediction/runs/run-store';
import type { Run, RunScope } from '@tandem/prediction/runs/runs';
import { planNow } from '@tandem/prediction/runs/steps.fixture';
import { inject } from 'vitest';
import { adopt } from '../adopt.ts';
import { createTestDatabase, createVisits, visitsPredictor } from '../store.fixture.ts';
import { createWork } from '../worked-runs.fixture.ts';
import { createRunStore, type RunStoreOptions } from './run-store.ts';

/**
 * Creates the database, the predictor and the run store.
 * @param users the number of users, with ids from 1; chunks have 100 users
 */
export async function createRunsWorld({ users, ...options }: RunStoreOptions & { readonly users: number }) {
  const database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  const store = createRunStore(database.pool, options);
  const ask = (scope: RunScope) =>
    store.create({ predictor: 'visits', scope, reason: 'test', scheduleSlot: null }).then(({ run }) => run);
  return {
    database,
    store,
    ...createWork(database.pool, store),
    /** Removes everything except the table and its predictor; to be called before each test. */
    async renew(): Promise<void> {
      await database.reset();
      await createVisits(database.pool, users);
      await adopt(database.pool, { predictors: [visitsPredictor()], actor: 'test' });
    },
    ask,
    /** Inserts read counts of users with these ids, the highest count first. */
    async read(...userIds: number[]): Promise<void> {
      await database.pool.query(
        `insert into tandem.read_demand (user_id, log_weight, context_version)
          select id::text, 1000 - n, 0 from unnest($1::int[]) with ordinality as u(id, n)
          on conflict (user_id) do update set log_weight = excluded.log_weight`,
        [userIds],
      );
    },
    /** Creates and plans a run with a budget. */
    async planWith(budget: Budget, more: Partial<NewRun> = {}): Promise<Run> {
      const asked = {
        predictor: 'visits',
        scope: { kind: 'all' },
        reason: 'test',
        scheduleSlot: null,
        budget,
      } as const;
      return planNow(store, (await store.create({ ...asked, ...more })).run.id);
    },
    /** Requests a run and plans it, without a worker. */
    start: async (scope: RunScope = { kind: 'all' }): Promise<Run> => planNow(store, (await ask(scope)).id),
  };
}
