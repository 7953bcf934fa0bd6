/** Counts of served reads by arm. Each API process keeps its own rows, and reports add them up. */

import type { Rollout } from '@tandem/freshness/rollout';
import { type Db, listsOf, type Pool, query } from '@tandem/offline-store/sql/database';
import {
  type ArmCountStore,
  type ArmCounts,
  type ArmSourceCounts,
  addCounts,
  NO_COUNTS,
  type ServedSums,
  type StepFigures,
} from '../rules/arm-counts.ts';
import type { ServedSource } from '../rules/exposures.ts';
import { findExposed } from './exposures.ts';

export function createArmCountStore(pool: Pool): ArmCountStore {
  return { put: (sums) => putSums(pool, sums) };
}

/** Stores sums. Skips rollouts that no longer exist. */
async function putSums(db: Db, sums: readonly ServedSums[]): Promise<void> {
  await query(db, {
    name: 'tandem-put-arm-counts',
    text: `insert into tandem.arm_counts (rollout_id, step, arm, source, process_id, counts)
      select s.rollout_id, s.step, s.arm, s.source, s.process_id, s.counts
      from unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::uuid[], $6::jsonb[])
        as s(rollout_id, step, arm, source, process_id, counts)
      where exists (select from tandem.rollouts r where r.id = s.rollout_id)
      on conflict (rollout_id, step, arm, source, process_id)
        do update set counts = excluded.counts, updated_at = clock_timestamp()`,
    values: [
      ...listsOf(sums, 'rolloutId', 'step', 'arm', 'source', 'processId'),
      sums.map(({ counts }) => JSON.stringify(counts)),
    ],
  });
}

/** Adds up the counts of one step over all processes. */
async function sumArmCounts(db: Db, rolloutId: string, step: number): Promise<readonly ArmSourceCounts[]> {
  const rows = await query<{ arm: string; source: ServedSource; counts: ArmCounts[] }>(db, {
    text: `select arm, source, json_agg(counts) as counts from tandem.arm_counts
      where rollout_id = $1 and step = $2 group by arm, source order by arm, source`,
    values: [rolloutId, step],
  });
  return rows.map(({ arm, source, counts }) => ({ arm, source, counts: counts.reduce(addCounts, NO_COUNTS) }));
}

/** Returns the figures of the rollout's current step. */
export async function findStepFigures(db: Db, { id, step }: Pick<Rollout, 'id' | 'step'>): Promise<StepFigures> {
  return { counts: await sumArmCounts(db, id, step), ...(await findExposed(db, id, step)) };
}
