/** First exposures of users to the arms of a rollout's step. */
import type { Rollout } from '@tandem/freshness/rollout';
import { type Db, listsOf, type Pool, query } from '@tandem/offline-store/sql/database';
import { fetchFirst, statements } from '@tandem/offline-store/sql/statements';
import type { StepFigures } from '../rules/arm-counts.ts';
import type { ExposedUsers, Exposure, ExposureStore } from '../rules/exposures.ts';

/** The number of last days whose new users are reported. */
const DAYS = 28;
const DAY_MS = 86_400_000;
/** The time limit of the lock on the table, behind which other exposures wait. */
const LOCK_MS = 1_000;

export function createExposureStore(pool: Pool): ExposureStore {
  return { put: (exposures, now) => putExposures(pool, exposures, now) };
}

/**
 * Inserts exposures. Their time is this database's clock minus the age on the sender's clock, minus a second. The
 * second covers a wait of the statement: an outcome right after the answer must not be before the exposure.
 *
 * The statement omits exposures of deleted rollouts, of users that were erased or overridden since, and with a context
 * version that the user has not reached. Such a version comes from a lost past, and the next erasure would not
 * delete the exposure. The rows are sorted, so that two processes never deadlock.
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
        and not exists (
          select from tandem.arm_overrides o where o.rollout_id = e.rollout_id and o.user_id = e.user_id collate "C")
        and (c.deleted_version > 0 and c.deleted_version >= e.context_version) is not true
      order by e.rollout_id, e.step, e.user_id collate "C", e.arm
      on conflict do nothing`,
    values: [
      ...listsOf(exposures, 'rolloutId', 'step', 'userId', 'arm', 'source'),
      exposures.map(({ at }) => Math.max(0, now - at)),
      exposures.map(({ contextVersion }) => contextVersion),
    ],
  });
}

/**
 * Deletes the exposures of a user whose override is committed. The lock waits for statements of `putExposures` that have
 * not seen the override, and for a vacuum.
 */
export async function deleteOverridden(db: Db, rollout: Pick<Rollout, 'id' | 'step'>, userId: string): Promise<void> {
  await query(db, { text: `set local lock_timeout = ${LOCK_MS}` });
  await query(db, { text: 'lock table tandem.exposures in share row exclusive mode' });
  await query(db, {
    text: `delete from tandem.exposures
      where rollout_id = $1 and step = any(array(select generate_series(0, $2::int))) and user_id = $3`,
    values: [rollout.id, rollout.step, userId],
  });
}

/**
 * Returns the numbers of exposed users of one step, as counted by the triggers on exposures
 * (migrations/0054_count_exposures.sql).
 */
export async function findExposed(db: Db, rolloutId: string, step: number): Promise<Omit<StepFigures, 'counts'>> {
  const counts = await query<ExposedUsers & { readonly day: number; readonly isLately: boolean }>(db, {
    text: `select arm, source, day, users, day > extract(epoch from statement_timestamp()) / 86400 - ${DAYS} as "isLately"
      from tandem.exposure_counts where rollout_id = $1 and step = $2 and users > 0 order by arm, source, day`,
    values: [rolloutId, step],
  });
  const moved = statements.selectFrom('tandem.multiple_exposures').select('users');
  const lately = counts.filter(({ isLately }) => isLately);
  return {
    exposed: [...Map.groupBy(counts, ({ arm, source }) => `${arm} ${source}`).values()].flatMap((of) =>
      of[0] ? [{ arm: of[0].arm, source: of[0].source, users: sumOfUsers(of) }] : [],
    ),
    multipleExposures:
      (
        await fetchFirst(
          db,
          moved.where(({ and }) => and({ rollout_id: rolloutId, step })),
        )
      )?.users ?? 0,
    newUsers: [...Map.groupBy(lately, ({ day }) => day)]
      .sort(([a], [b]) => a - b)
      .map(([day, of]) => ({ day: new Date(day * DAY_MS).toISOString().slice(0, 10), users: sumOfUsers(of) })),
  };
}

function sumOfUsers(counts: readonly { readonly users: number }[]): number {
  return counts.reduce((sum, { users }) => sum + users, 0);
}
