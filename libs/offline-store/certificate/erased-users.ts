/** Which users are erased at the moment: their last event was the erasure. */

import { type Db, query } from '../sql/database.ts';
import { textArray } from './certificate-statement.ts';

/** @param timeoutMs of the statement; left out, that of the connection */
export async function findErasedUsers(
  db: Db,
  userIds: readonly string[],
  timeoutMs?: number,
): Promise<ReadonlySet<string>> {
  const rows = await query<{ userId: string }>(db, {
    text: `select user_id as "userId" from tandem.user_contexts
      where deleted_version > 0 and version = deleted_version and user_id = any($1::text[])`,
    values: [textArray(userIds)],
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  return new Set(rows.map(({ userId }) => userId));
}
