/** Labels: movable names that people give to model versions. Labels never change serving; only rollouts do. */
import { TandemError } from '@tandem/freshness/errors';
import type pg from 'pg';
import { insertAudit } from '../sql/audit.ts';
import { type Db, query, transaction } from '../sql/database.ts';
import { lockAssignments } from '../sql/settings.ts';
import { changeRows, databaseNow, fetchFirst, statements } from '../sql/statements.ts';
import { numberedVersion } from './model-versions.ts';

/** Reserved names of arms, which rollouts move. */
const RESERVED = new Set(['stable', 'candidate']);
const LABEL = /^[a-z][a-z0-9._-]{0,62}$/;

export interface LabelMove {
  readonly predictor: string;
  readonly label: string;
  /** The model version's number. */
  readonly number: number;
  readonly actor: string;
}

interface MovedLabel {
  /** The number of the version that had the label before; null if none had it. */
  readonly from: number | null;
  readonly to: number;
}

/**
 * Moves a label, with an audit row. Rejects with `unknown_model_version`, with `version_unverified` if the version has
 * no certificate, or with `invalid_input` if the label is not valid.
 */
export function moveLabel(pool: pg.Pool, move: LabelMove): Promise<MovedLabel> {
  assertLabel(move.label);
  return transaction(pool, (db) => putLabel(db, move));
}

/** Moves a label like `moveLabel`, inside a transaction. `assertLabel` must have accepted the label. */
export async function putLabel(db: Db, { predictor, label, number, actor }: LabelMove): Promise<MovedLabel> {
  const named = numberedVersion(predictor, number).select((eb) => ['id', eb('parity', 'is not', null).as('verified')]);
  const version = await fetchFirst(db, named);
  if (!version) throw unknownVersion(predictor, number);
  if (!version.verified) throw unverified(predictor, number);
  // Concurrent moves of one label are serialised, so that each audit row has the right previous version.
  await query(db, {
    text: `select pg_advisory_xact_lock(hashtext('tandem.label'), hashtext($1 || '/' || $2))`,
    values: [predictor, label],
  });
  const labelled = statements
    .selectFrom('tandem.version_labels as l')
    .innerJoin('tandem.model_versions as m', 'm.id', 'l.model_version_id')
    .select('m.number')
    .where(({ and }) => and({ 'l.predictor': predictor, 'l.label': label }));
  const moved = { from: (await fetchFirst(db, labelled))?.number ?? null, to: number };
  if (moved.from === number) return moved;
  const put = { model_version_id: version.id, actor };
  const labels = statements
    .insertInto('tandem.version_labels')
    .values({ predictor, label, ...put })
    .onConflict((row) => row.columns(['predictor', 'label']).doUpdateSet({ ...put, moved_at: databaseNow() }));
  await changeRows(db, labels);
  await insertAudit(db, { actor, action: 'move_label', predictor, detail: { label, ...moved } });
  return moved;
}

/** Throws `invalid_input` if the text is not a valid label. */
export function assertLabel(label: string): void {
  if (RESERVED.has(label)) {
    throw new TandemError('invalid_input', `The label ${label} is the name of an arm, which rollouts move.`, {
      field: 'label',
      remedy: 'start a rollout to serve the version, or choose another label',
    });
  }
  if (LABEL.test(label)) return;
  throw new TandemError('invalid_input', `${JSON.stringify(label.slice(0, 80))} is not a valid label.`, {
    field: 'label',
    remedy: 'start with a lower-case letter, followed by at most 62 of a-z, 0-9, ., _ and -',
  });
}

export function unknownVersion(predictor: string, number: number): TandemError {
  return new TandemError('unknown_model_version', `Predictor ${predictor} has no model version ${number}.`, {
    remedy: `list the versions: GET /v1/models/${predictor}, or tandem model list ${predictor}`,
  });
}

function unverified(predictor: string, number: number): TandemError {
  return new TandemError(
    'version_unverified',
    `Model version ${number} of ${predictor} has no certificate of a trial: it was adopted before certificates existed.`,
    { field: 'version', remedy: 'adopt its config again, or push its file again: the trial creates the certificate' },
  );
}

// Archiving hides a model version from lists, and it can no longer be the target of a rollout or rollback. No data is
// deleted.

export interface ArchiveChange {
  readonly predictor: string;
  /** The model version's number. */
  readonly number: number;
  /** Whether to archive the version, or to unarchive it. */
  readonly archived: boolean;
  readonly actor: string;
}

/**
 * Archives or unarchives a version. Rejects with `unknown_model_version`, or with `version_in_use` if an arm serves the
 * version. Safe to repeat.
 */
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
    const row = statements.updateTable('tandem.model_versions').where('id', '=', version.id);
    await changeRows(db, row.set({ archived_at: archived ? databaseNow() : null }));
    const action = archived ? 'archive_version' : 'unarchive_version';
    await insertAudit(db, { actor, action, predictor, detail: { modelVersionId: version.id, modelNumber: number } });
  });
}

/**
 * Rejects with `version_archived` if the version is archived.
 * @param field the caller's field with the version or its generation
 */
export async function refuseArchived(
  db: Db,
  { predictor, number }: Pick<ArchiveChange, 'predictor' | 'number'>,
  field: string,
): Promise<void> {
  const archived = numberedVersion(predictor, number).where('archived_at', 'is not', null);
  if (await fetchFirst(db, archived)) throw archivedVersion(predictor, number, field);
}

function archivedVersion(predictor: string, number: number, field: string): TandemError {
  return new TandemError('version_archived', `Model version ${number} of ${predictor} is archived.`, {
    field,
    remedy: `unarchive it first: tandem model unarchive ${predictor} ${number}`,
  });
}

function inUse(predictor: string, number: number, arms: readonly string[]): TandemError {
  const text = `Model version ${number} of ${predictor} is served as ${arms.join(', ')}.`;
  return new TandemError('version_in_use', text, {
    field: 'version',
    remedy: 'end its rollout, or serve another version first: tandem rollout start, tandem version rollback',
  });
}
