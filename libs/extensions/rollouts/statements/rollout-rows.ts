/** Reads rows of tandem.rollouts with their arms, as rollouts of the domain. */
import { TandemError } from '@tandem/freshness/errors';
import type { Rollout, RolloutArm } from '@tandem/freshness/rollout';
import { isUuid } from '@tandem/freshness/user-id';
import { IS_LIVE_ONLY } from '@tandem/offline-store/models/model-versions';
import { type Db, query } from '@tandem/offline-store/sql/database';
import type { ActiveRollout } from '../rules/rollout-store.ts';

const ACTIVE = `('preparing', 'running', 'held')`;

const PHASE_MS = `,
    (extract(epoch from clock_timestamp() - coalesce(r.step_started_at, r.created_at)) * 1000)::float8 as "phaseMs"`;

const selectWith = (more: string) => `
  select r.id, r.predictor, r.number, r.kind, r.state, r.salt, r.plan, r.step, r.step_started_at as "stepStartedAt",
    r.reason, r.created_by as "createdBy", r.created_at as "createdAt", r.ended_at as "endedAt",
    coalesce(r.last_arms, (select jsonb_agg(jsonb_build_object('name', a.name, 'modelVersionId', a.model_version_id, 'modelNumber', v.number,
        'generationId', a.generation_id, 'generationNumber', g.number, 'firstBucket', a.first_bucket,
        'endBucket', a.end_bucket, 'isLiveOnly', ${IS_LIVE_ONLY})
        order by a.first_bucket, a.name)
      from tandem.arms a
      join tandem.model_versions v on v.id = a.model_version_id
      left join tandem.generations g on g.id = a.generation_id
      where a.rollout_id = r.id), '[]'::jsonb) as arms${more}
  from tandem.rollouts r`;

const SELECT = selectWith('');

type Row = Rollout & { readonly arms: readonly RolloutArm[] };

export async function findRollout(db: Db, id: string): Promise<Rollout | undefined> {
  if (!isUuid(id)) return undefined;
  return (await query<Row>(db, { text: `${SELECT} where r.id = $1`, values: [id] }))[0];
}

/** Returns a rollout. Rejects with `unknown_rollout`, at the caller's field with the id. */
export async function requireRollout(db: Db, id: string, field = 'rolloutId'): Promise<Rollout> {
  const rollout = await findRollout(db, id);
  if (rollout) return rollout;
  throw new TandemError('unknown_rollout', 'There is no rollout with this id.', {
    field,
    remedy: 'use the id of a rollout that tandem rollout list, or GET /v1/rollouts, returns',
  });
}

/**
 * Lists rollouts, newest first: for one predictor by number, whatever the clock; for several predictors by the clock.
 */
export async function listRollouts(
  db: Db,
  { predictor, limit, before }: { predictor?: string; limit: number; before?: string },
): Promise<readonly Rollout[]> {
  if (before !== undefined) await requireRollout(db, before, 'before');
  return query<Row>(db, {
    text: `${SELECT} left join tandem.rollouts b on b.id = $3
      where ($1::text is null or r.predictor = $1)
        and ($3::uuid is null or case when $1::text is not null then r.number < b.number
          else r.created_at < b.created_at or (r.created_at = b.created_at and r.id > b.id) end)
      order by case when $1::text is not null then r.number end desc, r.created_at desc, r.id limit $2`,
    values: [predictor ?? null, limit, before ?? null],
  });
}

/** Lists the rollouts of active predictors, oldest first. */
export async function listActive(db: Db): Promise<readonly ActiveRollout[]> {
  return query<Row & ActiveRollout>(db, {
    text: `${selectWith(PHASE_MS)} join tandem.predictors p on p.name = r.predictor and p.active
      where r.state in ${ACTIVE} order by r.created_at`,
  });
}

/** Rejects the name of an arm that the rollout does not have. */
export function refuseUnknownArm({ number }: Rollout, names: readonly string[], arm: string): void {
  if (names.includes(arm)) return;
  throw new TandemError('invalid_input', `Rollout ${number} has no arm ${JSON.stringify(arm)}.`, {
    field: 'variant',
    remedy: `use one of ${names.join(', ')}`,
  });
}
