/** Who is served what: the stable arm of each predictor. Whoever changes one holds `lockAssignments`. */
import { type Db, query } from './database.ts';

export const STABLE = 'stable';

export interface Arm extends Record<string, unknown> {
  readonly modelVersionId: string;
  readonly generationId: string | null;
  /** Number of the generation, for people. */
  readonly generationNumber: number | null;
  readonly overlayFloor: number;
  readonly revision: number;
}

export async function findArm(db: Db, predictor: string): Promise<Arm | undefined> {
  const rows = await query<Arm>(db, {
    text: `select a.model_version_id as "modelVersionId", a.generation_id as "generationId", g.number as "generationNumber",
        a.overlay_floor as "overlayFloor", a.revision
      from tandem.arms a left join tandem.generations g on g.id = a.generation_id
      where a.predictor = $1 and a.name = $2`,
    values: [predictor, STABLE],
  });
  return rows[0];
}

export async function insertArm(db: Db, predictor: string, modelVersionId: string): Promise<void> {
  await query(db, {
    text: 'insert into tandem.arms (predictor, name, model_version_id) values ($1, $2, $3)',
    values: [predictor, STABLE, modelVersionId],
  });
}

export interface ArmMove {
  readonly modelVersionId: string;
  readonly generationId: string | null;
  /** Whether overlay entries written so far stop to fit, as after a rollback. */
  readonly raiseFloor: boolean;
  /** Whether the expiry of the generation's predictions is counted from now on. */
  readonly restartExpiry: boolean;
}

/** Points the arm elsewhere, raises its revision, and notes when the generation that it leaves was in force last. */
export async function moveArm(db: Db, predictor: string, move: ArmMove): Promise<void> {
  await query(db, {
    text: `with vacated as (
        update tandem.generations g set left_at = clock_timestamp() from tandem.arms a
        where a.predictor = $1 and a.name = $2 and g.id = a.generation_id and g.id is distinct from $4::uuid
      )
      update tandem.arms set model_version_id = $3, generation_id = $4, revision = revision + 1,
        overlay_floor = overlay_floor + case when $5 then 1 else 0 end,
        expires_from = case when $6 then clock_timestamp() end
      where predictor = $1 and name = $2`,
    values: [predictor, STABLE, move.modelVersionId, move.generationId, move.raiseFloor, move.restartExpiry],
  });
}
