/** What events have left in the context of one user. */

import type { ContextFeatures } from '@tandem/freshness/features';
import { type Db, query } from '../sql/database.ts';

interface UserContext {
  readonly features: ContextFeatures;
  /** Null for a user without a context. */
  readonly updatedAt: Date | null;
}

/** Of a user who is erased no features are given. */
export async function findUserContext(db: Db, userId: string): Promise<UserContext> {
  const [context] = await query<UserContext & Record<string, unknown>>(db, {
    text: `select case when deleted_version > 0 and version = deleted_version then '{}' else features end as features,
        updated_at as "updatedAt"
      from tandem.user_contexts where user_id = $1`,
    values: [userId],
  });
  return context ?? { features: {}, updatedAt: null };
}
