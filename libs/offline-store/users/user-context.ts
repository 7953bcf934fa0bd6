/** Reads the context of one user: the values from events. */

import type { ContextFeatures } from '@tandem/freshness/features';
import { sql } from 'kysely';
import type { Db } from '../sql/database.ts';
import { fetchFirst, statements } from '../sql/statements.ts';

/**
 * Returns a user's context; an erased user has no features in it. The time of the last update is null for a user
 * without a context.
 */
export async function findUserContext(db: Db, userId: string) {
  const features = sql<ContextFeatures>`case when deleted_version > 0 and version = deleted_version then '{}' else features end`;
  const context = statements
    .selectFrom('tandem.user_contexts')
    .select([features.as('features'), 'updated_at as updatedAt'])
    .where('user_id', '=', userId);
  return (await fetchFirst(db, context)) ?? { features: {}, updatedAt: null };
}
