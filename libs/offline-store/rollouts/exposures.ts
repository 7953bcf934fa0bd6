/** Who was served from which arm of a rollout, the first time in a step. */
import type { ExposedUsers, Exposure, ExposureStore } from '@tandem/prediction/rollouts/exposures';
import type pg from 'pg';
import { type Db, query } from '../sql/database.ts';
import { fetchRows, statements } from '../sql/statements.ts';

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
export async function countExposed(db: Db, rolloutId: string, step: number): Promise<readonly ExposedUsers[]> {
  const exposed = statements
    .selectFrom('tandem.exposures')
    .select(['arm', 'source', statements.fn.countAll<number>().as('users')])
    .where(({ and }) => and({ rollout_id: rolloutId, step }));
  return fetchRows(db, exposed.groupBy(['arm', 'source']).orderBy('arm').orderBy('source'));
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
export async function countMultipleExposures(db: Db, rolloutId: string, step: number): Promise<number> {
  const [row] = await query<{ users: number }>(db, {
    text: `select count(*) as users from (
        select from tandem.exposures where rollout_id = $1 and step = $2 group by user_id having count(*) > 1) moved`,
    values: [rolloutId, step],
  });
  return row?.users ?? 0;
}
