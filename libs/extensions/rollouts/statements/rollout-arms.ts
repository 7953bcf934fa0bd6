/** The arms of a rollout: their users, their end, and the arm that becomes stable. */
import { STABLE } from '@tandem/freshness/rollout';
import { moveArm, nextUse } from '@tandem/offline-store/arms/arms';
import { type Db, query } from '@tandem/offline-store/sql/database';
import { changeRows, fetchFirst, statements } from '@tandem/offline-store/sql/statements';

/** SQL for whether a rollout `r` is a canary that skips its steps. */
const AT_ONCE = `coalesce((r.plan ->> 'atOnce')::boolean, false)`;

/**
 * Inserts an arm of a rollout, without users. It gets the generation of its version that an arm used last, since a
 * newer generation was rolled back. An `atOnce` canary is a rollback, so the expiry of its generation restarts. Any
 * other rollout waits for a new generation if the kept one has expired. A shadow's arm has no generation.
 */
export async function insertArm(
  db: Db,
  { rolloutId, predictor, name, modelVersionId }: Record<'rolloutId' | 'predictor' | 'name' | 'modelVersionId', string>,
): Promise<void> {
  await query(db, {
    text: `insert into tandem.arms (predictor, name, model_version_id, rollout_id, overlay_floor, generation_id, expires_from)
      select $2, $3, $4, $1, r.overlay_floor, g.id,
        case when g.id is not null and ${AT_ONCE} then clock_timestamp() end
      from tandem.rollouts r
      join tandem.predictors p on p.name = $2
      left join lateral (
        select id from tandem.generations
        where predictor = $2 and model_version_id = $4 and state = 'published' and (${AT_ONCE} or coalesce(
          started_at > clock_timestamp() - (p.policy -> 'freshness' ->> 'maxAgeMs')::float8 * interval '1 ms', true))
        order by last_use desc, number desc limit 1) g on r.kind <> 'shadow'
      where r.id = $1`,
    values: [rolloutId, predictor, name, modelVersionId],
  });
}

/** Assigns the users of the buckets [firstBucket, endBucket) to an arm. */
export async function giveUsers(
  db: Db,
  rolloutId: string,
  { name, firstBucket, endBucket }: { readonly name: string; readonly firstBucket: number; readonly endBucket: number },
): Promise<void> {
  const arm = statements
    .updateTable('tandem.arms')
    .set((eb) => ({ first_bucket: firstBucket, end_bucket: endBucket, revision: eb('revision', '+', 1) }))
    .where(({ and }) => and({ rollout_id: rolloutId, name }));
  await changeRows(db, arm);
}

/** Removes the arms of a rollout; the stable arm serves its users again. */
export async function removeArms(db: Db, rolloutId: string): Promise<void> {
  await query(db, {
    text: `with gone as (delete from tandem.arms where rollout_id = $1 returning generation_id)
      update tandem.generations g set left_at = clock_timestamp(), last_use = ${nextUse('g.predictor')}
      where id in (select generation_id from gone)`,
    values: [rolloutId],
  });
}

/** Removes all arms of a rollout; the stable arm takes over the version of the named arm. */
export async function makeStable(
  db: Db,
  { id, predictor }: { id: string; predictor: string },
  name: string,
): Promise<void> {
  const named = statements
    .selectFrom('tandem.arms')
    .select(['model_version_id as modelVersionId', 'generation_id as generationId'])
    .select(['overlay_floor', 'expires_from'])
    .where(({ and }) => and({ rollout_id: id, name }));
  const arm = await fetchFirst(db, named);
  if (!arm) throw new Error(`rollout ${id} has no arm ${name}`);
  await removeArms(db, id);
  await moveArm(db, predictor, { ...arm, raiseFloor: false, restartExpiry: false });
  const stable = statements.updateTable('tandem.arms').where(({ and }) => and({ predictor, name: STABLE }));
  await changeRows(db, stable.set({ overlay_floor: arm.overlay_floor, expires_from: arm.expires_from }));
}
