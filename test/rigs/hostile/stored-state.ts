/**
 * Reads a count and a digest of each table that requests may change: users, events, runs and assignments. Live
 * predictions are omitted, because a read stores its live answer after it has answered.
 */
import type { Pool } from '../../e2e/counts.fixture.ts';

const TABLES = [
  'user_contexts',
  'events',
  'event_ids',
  'outbox',
  'event_rules',
  'runs',
  'chunks',
  'generations',
  'predictors',
  'model_versions',
  'arms',
  'settings',
  'audit',
];
const DIGESTS = TABLES.map(
  (table) =>
    `(select count(*) || ' ' || md5(string_agg(t::text, '' order by t::text)) from tandem.${table} t) as ${table}`,
);

export async function storedState(pool: Pool): Promise<Readonly<Record<string, string>>> {
  const { rows } = await pool.query<Record<string, string>>(`select ${DIGESTS.join(', ')}`);
  return rows[0] ?? {};
}
