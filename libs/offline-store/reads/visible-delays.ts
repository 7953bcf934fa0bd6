/**
 * Measures how long events take to affect predictions: the time from a user's last event to the read of the features of
 * the live prediction that is about to be stored. Only the first prediction of a context version counts. Predictions of
 * outdated versions do not count.
 */
import type { OverlayEntry, OverlayStore } from '@tandem/freshness/stored-prediction';
import type pg from 'pg';
import { textArray } from '../certificate/certificate-statement.ts';
import { query } from '../sql/database.ts';

/** The maximum number of users from one batch: a sample, which must cost little compared with the write. */
const MOST_LOOKED_AT = 100;

interface DelayMetrics {
  readonly eventVisible: { observe(labels: { readonly predictor: string }, seconds: number): void };
}

/** Measures the delays of live answers before they are stored. If that fails, the answers are stored anyway. */
export function observeVisible(store: OverlayStore, pool: pg.Pool, { eventVisible }: DelayMetrics): OverlayStore {
  return {
    async put(entries) {
      const delays = await findVisibleDelays(pool, entries).catch(() => []);
      for (const { predictor, seconds } of delays) eventVisible.observe({ predictor }, seconds);
      await store.put(entries);
    },
  };
}

/** Returns the delays. It must be called before the entries are written. */
async function findVisibleDelays(pool: pg.Pool, entries: readonly OverlayEntry[]) {
  const looked = entries.filter(({ contextVersion }) => contextVersion > 0).slice(0, MOST_LOOKED_AT);
  if (looked.length === 0) return [];
  return query<{ predictor: string; seconds: number }>(pool, {
    name: 'tandem-visible-delays',
    text: FIND,
    values: [
      textArray(looked.map(({ predictor }) => predictor)),
      textArray(looked.map(({ modelVersionId }) => modelVersionId)),
      textArray(looked.map(({ userId }) => userId)),
      textArray(looked.map(({ history }) => history)),
      `{${looked.map(({ contextVersion }) => contextVersion).join(',')}}`,
      `{${looked.map(({ computedAt }) => computedAt).join(',')}}`,
    ],
  });
}

const FIND = `
  select e.predictor, greatest(0, e.computed_at / 1000 - extract(epoch from c.updated_at))::float8 as seconds
  from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::float8[])
    as e(predictor, model_version_id, user_id, history, context_version, computed_at)
  join tandem.user_contexts c on c.user_id = e.user_id collate "C" and c.version = e.context_version
  where e.history = tandem.current_history()
    and ((c.touched ->> e.predictor)::bigint = c.version
      or e.predictor in (select name from tandem.predictors where patterns_pending))
    and not exists (select from tandem.overlay o where o.predictor = e.predictor
      and o.model_version_id = e.model_version_id and o.user_id = e.user_id collate "C"
      and o.history = e.history and o.context_version >= e.context_version)`;
