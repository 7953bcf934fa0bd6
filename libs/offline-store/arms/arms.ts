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

/** Returns SQL for a floor above every floor that the predictor's arms have, or that arms of its rollouts ever had. */
export function nextFloor(predictor: string): string {
  return `(1 + greatest((select coalesce(max(overlay_floor), 0) from tandem.arms where predictor = ${predictor}),
    (select coalesce(max(overlay_floor), 0) from tandem.rollouts where predictor = ${predictor})))`;
}
