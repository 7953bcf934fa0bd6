/**
 * The arms of each predictor, which decide what serves its users. Every change of an arm holds `lockAssignments`. A
 * trigger keeps the history of the stable arm (migrations/0030_stable_history.sql).
 */
import { STABLE } from '@tandem/freshness/rollout';
import type { InferResult } from 'kysely';
import { type Db, query } from '../sql/database.ts';
import { changeRows, fetchFirst, statements } from '../sql/statements.ts';

function armsOf(predictor: string) {
  return statements
    .selectFrom('tandem.arms as a')
    .leftJoin('tandem.generations as g', 'g.id', 'a.generation_id')
    .select(['a.name', 'a.model_version_id as modelVersionId', 'a.generation_id as generationId'])
    .select(['g.number as generationNumber', 'a.overlay_floor as overlayFloor', 'a.revision'])
    .where('a.predictor', '=', predictor);
}

/** An arm of a predictor. `generationNumber` is for display; null without a generation. */
export type Arm = Readonly<InferResult<ReturnType<typeof armsOf>>[number]>;

/** SQL for whether a rollout `r` is a canary that skips its steps. */
const AT_ONCE = `coalesce((r.plan ->> 'atOnce')::boolean, false)`;

/** Returns an arm by name. */
export function findArm(db: Db, predictor: string, name: string = STABLE): Promise<Arm | undefined> {
  return fetchFirst(db, armsOf(predictor).where('a.name', '=', name));
}

/** Returns the arm that serves a model version. No two arms of a predictor serve the same version. */
export function findArmOfVersion(db: Db, predictor: string, modelVersionId: string): Promise<Arm | undefined> {
  return fetchFirst(db, armsOf(predictor).where('a.model_version_id', '=', modelVersionId));
}

/** Inserts a predictor's first arm. */
export async function insertStableArm(db: Db, predictor: string, modelVersionId: string): Promise<void> {
  const arm = { predictor, name: STABLE, model_version_id: modelVersionId };
  await changeRows(db, statements.insertInto('tandem.arms').values(arm));
}

/**
 * Returns SQL for the next number of a use of the predictor's generations. The caller holds lockAssignments.
 * @param predictor an SQL expression that gives the predictor
 */
export function nextUse(predictor: string): string {
  return `(select coalesce(max(last_use), 0) + 1 from tandem.generations where predictor = ${predictor})`;
}

interface ArmMove {
  readonly modelVersionId: string;
  readonly generationId: string | null;
  /** Whether existing overlay entries become invalid, as after a rollback. */
  readonly raiseFloor: boolean;
  /** Whether the expiry of the generation's predictions is counted from now on. */
  readonly restartExpiry: boolean;
  /** The arm; default: stable. */
  readonly arm?: string;
}

/**
 * Moves an arm to another generation, raises its revision, and records when the previous generation was last current.
 */
export async function moveArm(db: Db, predictor: string, move: ArmMove): Promise<void> {
  const { arm = STABLE } = move;
  await query(db, {
    text: `with vacated as (
        update tandem.generations g set left_at = clock_timestamp(), last_use = ${nextUse('$1')} from tandem.arms a
        where a.predictor = $1 and a.name = $2 and g.id = a.generation_id and g.id is distinct from $4::uuid
      )
      update tandem.arms set model_version_id = $3, generation_id = $4, revision = revision + 1,
        overlay_floor = case when $5 then ${nextFloor('$1')} else overlay_floor end,
        expires_from = case when $6 then clock_timestamp() end
      where predictor = $1 and name = $2`,
    values: [predictor, arm, move.modelVersionId, move.generationId, move.raiseFloor, move.restartExpiry],
  });
}

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

/** Returns SQL for a floor above every floor that the predictor's arms have, or that arms of its rollouts ever had. */
export function nextFloor(predictor: string): string {
  return `(1 + greatest((select coalesce(max(overlay_floor), 0) from tandem.arms where predictor = ${predictor}),
    (select coalesce(max(overlay_floor), 0) from tandem.rollouts where predictor = ${predictor})))`;
}
