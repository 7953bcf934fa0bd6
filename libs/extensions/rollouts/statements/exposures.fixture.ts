/** A predictor and its rollouts as plain rows, for tests of judgements, which need no served users. */

import { adopt } from '@tandem/offline-store/adopt';
import { createVisits, visitsPredictor } from '@tandem/offline-store/store.fixture';
import type pg from 'pg';
import type { Exposure } from '../rules/exposures.ts';

/** Inserts this many rollouts of `visits`, of which the first is active, and returns their ids. */
export async function createRolloutRows(pool: pg.Pool, count = 1): Promise<readonly string[]> {
  await createVisits(pool, 1);
  await adopt(pool, { predictors: [visitsPredictor()], actor: 'test' });
  const { rows } = await pool.query<{ id: string }>(
    `insert into tandem.rollouts (predictor, number, kind, state, salt, plan, overlay_floor, created_by)
      select 'visits', n, 'ab', case n when 1 then 'running' else 'ended' end, 's', '{}', 1, 'test'
      from generate_series(1, $1) n returning id`,
    [count],
  );
  return rows.map(({ id }) => id);
}

/** Returns an exposure at time 0 of the sender's clock. */
export function exposure(rolloutId: string, userId: string, changes: Partial<Exposure> = {}): Exposure {
  return { rolloutId, step: 0, arm: 'stable', userId, source: 'batch', contextVersion: 0, at: 0, ...changes };
}
