/** Finds currently erased users, whose last event was the erasure. */

import { type Db, query } from '../sql/database.ts';
import { textArray } from './certificate-statement.ts';

/** SQL: whether the user of context `c` is erased. */
export const IS_ERASED = 'c.deleted_version > 0 and c.version = c.deleted_version';

/**
 * If there are at most this many erased users, all of them are read. Looking up the users of a chunk instead costs
 * Postgres 0.5 µs each.
 */
export const FEW_ERASED = 100;

/**
 * Returns the erased users among these. The set may also contain other erased users.
 * @param timeoutMs the time limit of the statement; absent: the limit of the connection
 */
export async function findErasedUsers(
  db: Db,
  userIds: readonly string[],
  timeoutMs?: number,
): Promise<ReadonlySet<string>> {
  const limits = timeoutMs === undefined ? {} : { timeoutMs };
  const few = await query<{ userId: string }>(db, {
    text: `select user_id as "userId" from tandem.user_contexts c where ${IS_ERASED} limit $1`,
    values: [FEW_ERASED + 1],
    ...limits,
  });
  if (few.length <= FEW_ERASED) return new Set(few.map(({ userId }) => userId));
  const rows = await query<{ userId: string }>(db, {
    text: `select user_id as "userId" from tandem.user_contexts c
      where ${IS_ERASED} and user_id = any($1::text[])`,
    values: [textArray(userIds)],
    ...limits,
  });
  return new Set(rows.map(({ userId }) => userId));
}
