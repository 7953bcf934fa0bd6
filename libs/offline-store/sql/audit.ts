/** The audit: changes of pointers and keys with actor, time and reason. */
import type { Db } from './database.ts';
import { changeRows, fetchRows, statements } from './statements.ts';

export type AuditAction =
  | 'adopt'
  | 'deactivate'
  | 'push_version'
  | 'move_label'
  | 'archive_version'
  | 'unarchive_version'
  | 'publish'
  | 'hold_back'
  | 'approve'
  | 'rollback'
  | 'create_rollout'
  | 'begin_rollout'
  | 'advance_rollout'
  | 'hold_rollout'
  | 'resume_rollout'
  | 'promote_rollout'
  | 'abort_rollout'
  | 'end_rollout'
  | 'override_arm'
  | 'drop_generation'
  | 'cancel_run'
  | 'resume_run'
  | 'watch'
  | 'unwatch'
  | 'rotate_history'
  | 'create_key'
  | 'rotate_key'
  | 'limit_key'
  | 'revoke_key';

interface AuditEntry {
  readonly actor: string;
  readonly action: AuditAction;
  readonly predictor: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** Inserts an audit row, in the transaction of the action itself. */
export async function insertAudit(db: Db, { actor, action, predictor, detail }: AuditEntry): Promise<void> {
  const row = { actor, action, predictor, detail: JSON.stringify(detail) };
  await changeRows(db, statements.insertInto('tandem.audit').values(row));
}

interface AuditRow extends AuditEntry {
  readonly number: number;
  readonly at: Date;
}

export interface AuditPage {
  readonly predictor?: string;
  readonly limit: number;
  /** The number of the last row on the previous page. */
  readonly before?: number;
}

/** Returns audit rows, newest first. */
export async function listAudit(db: Db, { predictor, limit, before }: AuditPage): Promise<readonly AuditRow[]> {
  let page = statements
    .selectFrom('tandem.audit')
    .select(['seq as number', 'at', 'actor', 'action', 'predictor', 'detail'])
    .orderBy('seq', 'desc')
    .limit(limit);
  if (predictor !== undefined) page = page.where('predictor', '=', predictor);
  if (before !== undefined) page = page.where('seq', '<', before);
  return fetchRows(db, page);
}
