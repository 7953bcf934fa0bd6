/**
 * What requests may change, as one text: what users, events, runs and assignments are stored. Live predictions are left
 * out: a read that infers keeps its answer, and writes it after it answered.
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
