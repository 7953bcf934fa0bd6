/** Who moved a pointer, when and why. */
import { type Db, query } from './database.ts';

export type AuditAction =
  | 'adopt'
  | 'deactivate'
  | 'publish'
  | 'rollback'
  | 'drop_generation'
  | 'cancel_run'
  | 'resume_run';

export interface AuditEntry {
  readonly actor: string;
  readonly action: AuditAction;
  readonly predictor: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface AuditRow extends AuditEntry {
  readonly seq: number;
  readonly at: Date;
}

/** Belongs to the transaction of the act itself. */
export async function insertAudit(db: Db, { actor, action, predictor, detail }: AuditEntry): Promise<void> {
  await query(db, {
    text: 'insert into tandem.audit (actor, action, predictor, detail) values ($1, $2, $3, $4)',
    values: [actor, action, predictor, JSON.stringify(detail)],
  });
}

/** Newest first. */
export async function listAudit(db: Db, limit: number, predictor?: string): Promise<readonly AuditRow[]> {
  return query<AuditRow & Record<string, unknown>>(db, {
    text: `select seq, at, actor, action, predictor, detail from tandem.audit
      where $2::text is null or predictor = $2 order by seq desc limit $1`,
    values: [limit, predictor ?? null],
  });
}
