/** Overlay entries in Postgres: those of partial runs, and the latest live answers. */
import type { OverlayEntry, OverlayStore } from '@tandem/prediction/stored-prediction';
import type pg from 'pg';
import { type Db, query } from './database.ts';

export function createOverlayStore(pool: pg.Pool): OverlayStore {
  return { put: (entries) => putEntries(pool, entries) };
}

/**
 * Keeps each entry by compare-and-set: within a history and floor none goes back to an older label, nor, of equal labels,
 * to an older time. Entries of another history than the database's own are not kept: their labels prove nothing here.
 */
export async function putEntries(db: Db, entries: readonly OverlayEntry[]): Promise<void> {
  if (entries.length === 0) return;
  const column = <K extends keyof OverlayEntry>(key: K) => entries.map((entry) => entry[key]);
  await query(db, {
    name: 'tandem-put-overlay',
    text: PUT,
    values: [
      column('predictor'),
      column('userId'),
      column('modelVersionId'),
      column('overlayFloor'),
      column('history'),
      column('contextVersion'),
      column('source'),
      column('computedAt'),
      column('outputs'),
    ],
  });
}

// Sorted, so that two writers of the same users do not wait for each other in a circle; the best of each user in a batch.
const PUT = `
  insert into tandem.overlay as o
    (predictor, user_id, model_version_id, overlay_floor, history, context_version, source, computed_at, outputs)
  select distinct on (e.predictor, e.user_id, e.model_version_id)
    e.predictor, e.user_id collate "C", e.model_version_id, e.overlay_floor, e.history, e.context_version, e.source,
    to_timestamp(e.computed_at / 1000), e.outputs
  from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::text[], $8::float8[], $9::bytea[])
    as e(predictor, user_id, model_version_id, overlay_floor, history, context_version, source, computed_at, outputs)
  where e.history = tandem.current_history()
  order by e.predictor, e.user_id, e.model_version_id, e.overlay_floor desc, e.context_version desc, e.computed_at desc
  on conflict (predictor, user_id, model_version_id) do update set
    overlay_floor = excluded.overlay_floor, history = excluded.history, context_version = excluded.context_version,
    source = excluded.source, computed_at = excluded.computed_at, outputs = excluded.outputs
  where o.history <> excluded.history
    or (excluded.overlay_floor, excluded.context_version, excluded.computed_at)
     > (o.overlay_floor, o.context_version, o.computed_at)`;
