/** Who was served from which arm of a rollout, the first time in a step. */

import type { Rollout } from '@tandem/freshness/rollout';
import {
  type ArmCountStore,
  type ArmCounts,
  type ArmSourceCounts,
  addCounts,
  NO_COUNTS,
  type ServedSums,
  type StepFigures,
} from '@tandem/prediction/rollouts/arm-counts';
import type { ExposedUsers, Exposure, ExposureStore, ServedSource } from '@tandem/prediction/rollouts/exposures';
import type pg from 'pg';
import { type Db, query } from '../sql/database.ts';

export function createExposureStore(pool: pg.Pool): ExposureStore {
  return { put: (exposures, now) => putExposures(pool, exposures, now) };
}

/**
 * The moment is told by this database's clock and by how long ago it was on the sender's, and a second earlier: the statement
 * may have waited, and what a user does at once after an answer must not lie before the exposure. Left out are rollouts that are
 * not there any more, what an erasure has overtaken, and labels that the user does not have yet: those of a past that is lost,
 * which the next erasure would not reach. Sorted, so that two processes never wait crosswise.
 */
async function putExposures(db: Db, exposures: readonly Exposure[], now: number): Promise<void> {
  await query(db, {
    name: 'tandem-put-exposures',
    text: `insert into tandem.exposures (rollout_id, step, user_id, arm, source, at, context_version)
      select e.rollout_id, e.step, e.user_id, e.arm, e.source, statement_timestamp() - e.ago * interval '1 ms' - interval '1 s', e.context_version
      from unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::double precision[], $7::bigint[])
        as e(rollout_id, step, user_id, arm, source, ago, context_version)
      left join tandem.user_contexts c on c.user_id = e.user_id collate "C"
      where exists (select from tandem.rollouts r where r.id = e.rollout_id)
        and e.context_version <= coalesce(c.version, 0)
        and (c.deleted_version > 0 and c.deleted_version >= e.context_version) is not true
      order by e.rollout_id, e.step, e.user_id collate "C", e.arm
      on conflict do nothing`,
    values: [
      exposures.map(({ rolloutId }) => rolloutId),
      exposures.map(({ step }) => step),
      exposures.map(({ userId }) => userId),
      exposures.map(({ arm }) => arm),
      exposures.map(({ source }) => source),
      exposures.map(({ at }) => Math.max(0, now - at)),
      exposures.map(({ contextVersion }) => contextVersion),
    ],
  });
}

/** Of one step, by the source of their first answer. */
async function countExposed(db: Db, rolloutId: string, step: number): Promise<readonly ExposedUsers[]> {
  return query<ExposedUsers & Record<string, unknown>>(db, {
    text: `select arm, source, count(*) as users from tandem.exposures
      where rollout_id = $1 and step = $2 group by arm, source order by arm, source`,
    values: [rolloutId, step],
  });
}

/** In all steps, each user once an arm. No part of a step's figures: of a million users it takes a second or two. */
export async function countExposedEver(db: Db, rolloutId: string): Promise<readonly { arm: string; users: number }[]> {
  return query<{ arm: string; users: number }>(db, {
    text: `select arm, count(*) as users from (
        select distinct arm, user_id from tandem.exposures where rollout_id = $1) each_once
      group by arm order by arm`,
    values: [rolloutId],
  });
}

/** Users whom one step has served from more than one arm: somebody moved them by hand, or assignment is broken. */
async function countMultipleExposures(db: Db, rolloutId: string, step: number): Promise<number> {
  const [row] = await query<{ users: number }>(db, {
    text: `select count(*) as users from (
        select from tandem.exposures where rollout_id = $1 and step = $2 group by user_id having count(*) > 1) moved`,
    values: [rolloutId, step],
  });
  return row?.users ?? 0;
}

// What was served in each arm, as the processes of the API count it: each keeps rows of its own, and reports add them up.

export function createArmCountStore(pool: pg.Pool): ArmCountStore {
  return { put: (sums) => putSums(pool, sums) };
}

/** Of rollouts that are not there any more nothing is kept. */
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
      sums.map(({ rolloutId }) => rolloutId),
      sums.map(({ step }) => step),
      sums.map(({ arm }) => arm),
      sums.map(({ source }) => source),
      sums.map(({ processId }) => processId),
      sums.map(({ counts }) => JSON.stringify(counts)),
    ],
  });
}

/** Of one step, over all processes. */
async function sumArmCounts(db: Db, rolloutId: string, step: number): Promise<readonly ArmSourceCounts[]> {
  const rows = await query<{ arm: string; source: ServedSource; counts: ArmCounts[] }>(db, {
    text: `select arm, source, json_agg(counts) as counts from tandem.arm_counts
      where rollout_id = $1 and step = $2 group by arm, source order by arm, source`,
    values: [rolloutId, step],
  });
  return rows.map(({ arm, source, counts }) => ({ arm, source, counts: counts.reduce(addCounts, NO_COUNTS) }));
}

/** Of the step that the rollout is in. */
export async function findStepFigures(db: Db, { id, step }: Pick<Rollout, 'id' | 'step'>): Promise<StepFigures> {
  return {
    counts: await sumArmCounts(db, id, step),
    exposed: await countExposed(db, id, step),
    multipleExposures: await countMultipleExposures(db, id, step),
  };
}
