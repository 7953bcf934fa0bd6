/** For the tests of runs: the predictor `visits` on a database of one's own, and the run store over it. */

import type { Run, RunScope } from '@tandem/prediction/runs/runs';
import { planNow } from '@tandem/prediction/runs/steps.fixture';
import { inject } from 'vitest';
import { adopt } from '../adopt.ts';
import { createTestDatabase, createVisits, visitsPredictor } from '../store.fixture.ts';
import { createWork } from '../worked-runs.fixture.ts';
import { createRunStore, type RunStoreOptions } from './run-store.ts';

/** @param users ids 1 to n; chunks are of 100 */
export async function createRunsWorld({ users, ...options }: RunStoreOptions & { readonly users: number }) {
  const database = await createTestDatabase(inject('databaseUrl'), inject('templateDatabase'));
  const store = createRunStore(database.pool, options);
  const ask = (scope: RunScope) =>
    store.create({ predictor: 'visits', scope, reason: 'test', scheduleSlot: null }).then(({ run }) => run);
  return {
    database,
    store,
    ...createWork(database.pool, store),
    /** To be called before each test: nothing is left but the table and its predictor. */
    async renew(): Promise<void> {
      await database.reset();
      await createVisits(database.pool, users);
      await adopt(database.pool, { predictors: [visitsPredictor()], actor: 'test' });
    },
    ask,
    /** Asks for a run and plans it; no worker knows of it. */
    start: async (scope: RunScope = { kind: 'all' }): Promise<Run> => planNow(store, (await ask(scope)).id),
  };
}
