/** Who moved a pointer or changed a key, when and why. */
import { type Db, query } from './database.ts';

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
  | 'revoke_key';

interface AuditEntry {
  readonly actor: string;
  readonly action: AuditAction;
  readonly predictor: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** Belongs to the transaction of the act itself. */
export async function insertAudit(db: Db, { actor, action, predictor, detail }: AuditEntry): Promise<void> {
  await query(db, {
    text: 'insert into tandem.audit (actor, action, predictor, detail) values ($1, $2, $3, $4)',
    values: [actor, action, predictor, JSON.stringify(detail)],
  });
}

export interface AuditRow extends AuditEntry {
  readonly number: number;
  readonly at: Date;
}

export interface AuditPage {
  readonly predictor?: string;
  readonly limit: number;
  /** The number of the last row of the page before. */
  readonly before?: number;
}

/** Newest first. */
export async function listAudit(db: Db, { predictor, limit, before }: AuditPage): Promise<readonly AuditRow[]> {
  return query<AuditRow & Record<string, unknown>>(db, {
    text: `select seq as number, at, actor, action, predictor, detail from tandem.audit
      where ($1::text is null or predictor = $1) and ($3::bigint is null or seq < $3) order by seq desc limit $2`,
    values: [predictor ?? null, limit, before ?? null],
  });
}
