/**
 * The feature source of the planted design "version after", which reads the labels in a later statement than the
 * features.
 */

import type { FeatureBatch } from '@tandem/freshness/features';
import type { Db } from '@tandem/offline-store/sql/database';
import { query } from '@tandem/offline-store/sql/database';

export async function relabel(db: Db, batch: FeatureBatch): Promise<FeatureBatch> {
  const rows = await query<{ userId: string; version: number }>(db, {
    text: 'select user_id as "userId", version from tandem.user_contexts where user_id = any($1::text[])',
    values: [batch.userIds],
  });
  const versions = new Map(rows.map(({ userId, version }) => [userId, version]));
  return { ...batch, contextVersions: batch.userIds.map((userId) => versions.get(userId) ?? 0) };
}
