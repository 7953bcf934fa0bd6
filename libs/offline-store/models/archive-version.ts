/** Archives a model version: lists leave it out, and no rollout and no rollback goes to it. Nothing of it is deleted. */
import { TandemError } from '@tandem/freshness/errors';
import type pg from 'pg';
import { insertAudit } from '../sql/audit.ts';
import { type Db, query, transaction } from '../sql/database.ts';
import { lockAssignments } from '../sql/settings.ts';
import { unknownVersion } from './version-labels.ts';

export interface ArchiveChange {
  readonly predictor: string;
  /** The model version's number. */
  readonly number: number;
  /** False ends it. */
  readonly archived: boolean;
  readonly actor: string;
}

/** Rejects with `unknown_model_version`, or with `version_in_use` where an arm names the version. Safe to repeat. */
export function archiveVersion(pool: pg.Pool, { predictor, number, archived, actor }: ArchiveChange): Promise<void> {
  return transaction(pool, async (db) => {
    await lockAssignments(db);
    const [version] = await query<{ id: string; archived: boolean; arms: string[] }>(db, {
      text: `select id, archived_at is not null as archived,
          array(select name from tandem.arms a where a.model_version_id = v.id order by name) as arms
        from tandem.model_versions v where predictor = $1 and number = $2`,
      values: [predictor, number],
    });
    if (!version) throw unknownVersion(predictor, number);
    if (version.archived === archived) return;
    if (archived && version.arms.length > 0) throw inUse(predictor, number, version.arms);
    await query(db, {
      text: 'update tandem.model_versions set archived_at = case when $2 then clock_timestamp() end where id = $1',
      values: [version.id, archived],
    });
    const action = archived ? 'archive_version' : 'unarchive_version';
    await insertAudit(db, { actor, action, predictor, detail: { modelVersionId: version.id, modelNumber: number } });
  });
}

/** Rejects with `version_archived`. @param field where the caller named the version, or its generation */
export async function refuseArchived(
  db: Db,
  { predictor, number }: Pick<ArchiveChange, 'predictor' | 'number'>,
  field: string,
): Promise<void> {
  const found = await query(db, {
    text: 'select from tandem.model_versions where predictor = $1 and number = $2 and archived_at is not null',
    values: [predictor, number],
  });
  if (found.length > 0) throw archivedVersion(predictor, number, field);
}

function archivedVersion(predictor: string, number: number, field: string): TandemError {
  return new TandemError('version_archived', `Model version ${number} of ${predictor} is archived.`, {
    field,
    remedy: `take it out of the archive first: tandem model unarchive ${predictor} ${number}`,
  });
}

function inUse(predictor: string, number: number, arms: readonly string[]): TandemError {
  const text = `Model version ${number} of ${predictor} is served as ${arms.join(', ')}.`;
  return new TandemError('version_in_use', text, {
    field: 'version',
    remedy: 'end its rollout, or serve another version first: tandem rollout start, tandem version rollback',
  });
}
