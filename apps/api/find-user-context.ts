/** A user's context as Postgres has it, for people who look into it; reads decide by certificates alone. */
import { type Db, query } from '@tandem/offline-store/database';
import type { UserContext } from './routes/users/context-view.ts';

export async function findUserContext(db: Db, userId: string): Promise<UserContext | undefined> {
  const rows = await query<UserContext & Record<string, unknown>>(db, {
    text: `select version, touched, deleted_version as "deletedVersion", features, updated_at as "updatedAt"
      from tandem.user_contexts where user_id = $1`,
    values: [userId],
  });
  return rows[0];
}
