/** Results of shadows: the sums of each process, and the users with the largest differences. */
import type { ShadowPlan } from '@tandem/freshness/rollout';
import { textArray } from '@tandem/offline-store/certificate/certificate-statement';
import { type Db, epochMs, listsOf, type Pool, query, transaction } from '@tandem/offline-store/sql/database';
import { fetchFirst, fetchRows, statements } from '@tandem/offline-store/sql/statements';
import type { Segment, ShadowCounts } from '../shadow/shadow-counts.ts';
import {
  MOST_MOVERS,
  type ShadowMover,
  type ShadowRow,
  type ShadowStore,
  type ShadowSums,
} from '../shadow/shadow-report.ts';

export function createShadowStore(pool: Pool): ShadowStore {
  return { keep: (sums) => transaction(pool, (db) => keepSums(db, sums)) };
}

/**
 * Stores the sums. Locks the rollout's row first: otherwise processes that store concurrently could deadlock on each
 * other's users.
 */
async function keepSums(db: Db, sums: ShadowSums): Promise<number> {
  const { rolloutId, processId, rows, movers } = sums;
  const rollout = statements.selectFrom('tandem.rollouts').where('id', '=', rolloutId).forNoKeyUpdate();
  if (!(await fetchFirst(db, rollout))) return Number.POSITIVE_INFINITY;
  await query(db, {
    text: `insert into tandem.shadow_counts (rollout_id, segment, process_id, counts)
      select $1, r.segment, $2, r.counts from unnest($3::text[], $4::jsonb[]) as r(segment, counts)
      on conflict (rollout_id, segment, process_id) do update set counts = excluded.counts, updated_at = clock_timestamp()`,
    values: [
      rolloutId,
      processId,
      textArray(rows.map(({ segment }) => segmentText(segment))),
      textArray(rows.map(({ counts }) => JSON.stringify(counts))),
    ],
  });
  if (movers.length > 0) await putMovers(db, rolloutId, movers);
  return dropNearest(db, rolloutId);
}

/** Stores users, except those that were erased since. For each user the largest difference stays. */
async function putMovers(db: Db, rolloutId: string, movers: readonly ShadowMover[]): Promise<void> {
  await query(db, {
    text: `insert into tandem.shadow_movers as m (rollout_id, user_id, served, candidate, context_version, computed_at)
      select $1, f.user_id, f.served, f.candidate, f.context_version, to_timestamp(f.computed_at / 1000)
      from unnest($2::text[], $3::float8[], $4::float8[], $5::bigint[], $6::float8[])
        as f(user_id, served, candidate, context_version, computed_at)
      where not exists (select from tandem.user_contexts c where c.user_id = f.user_id collate "C"
        and c.deleted_version > 0 and c.deleted_version >= f.context_version)
      on conflict (rollout_id, user_id) do update set served = excluded.served, candidate = excluded.candidate,
        context_version = excluded.context_version, computed_at = excluded.computed_at
      where abs(excluded.candidate - excluded.served) > abs(m.candidate - m.served)`,
    values: [rolloutId, ...listsOf(movers, 'userId', 'served', 'candidate', 'contextVersion', 'computedAt')],
  });
}

/** Removes users beyond the limit. Returns the least kept difference; 0 while there is room for more. */
async function dropNearest(db: Db, rolloutId: string): Promise<number> {
  const kept = await query<{ distance: number }>(db, {
    text: `with ranked as (
        select user_id, abs(candidate - served) as distance,
          row_number() over (order by abs(candidate - served) desc, user_id) as place
        from tandem.shadow_movers where rollout_id = $1
      ), dropped as (
        delete from tandem.shadow_movers m using ranked r
        where m.rollout_id = $1 and m.user_id = r.user_id and r.place > $2
      )
      select distance from ranked where place = $2`,
    values: [rolloutId, MOST_MOVERS],
  });
  return kept[0]?.distance ?? 0;
}

/** The stored results of a shadow. */
export interface KeptShadow {
  readonly predictor: string;
  readonly state: string;
  readonly plan: ShadowPlan;
  /** The number of processes that have stored sums. */
  readonly processes: number;
  /** The time of the last store; null if there is none. */
  readonly updatedAt: Date | null;
  readonly rows: readonly ShadowRow[];
  /** The users with the largest differences, largest first. */
  readonly movers: readonly ShadowMover[];
}

/** Returns the results of a rollout; undefined if there is no such rollout, `not a shadow` if it is of another kind. */
export async function findShadow(db: Db, rolloutId: string): Promise<KeptShadow | 'not a shadow' | undefined> {
  const rollouts = statements.selectFrom('tandem.rollouts').select(['predictor', 'state', 'plan']);
  const rollout = await fetchFirst(db, rollouts.where('id', '=', rolloutId));
  if (!rollout) return undefined;
  const { predictor, state, plan } = rollout;
  if (plan.kind !== 'shadow') return 'not a shadow';
  const sums = statements
    .selectFrom('tandem.shadow_counts')
    .select(['segment', 'process_id as processId', 'counts', 'updated_at as updatedAt'])
    .$narrowType<{ counts: ShadowCounts }>()
    .where('rollout_id', '=', rolloutId);
  const rows = await fetchRows(db, sums.orderBy('updated_at', 'desc'));
  const movers = await query<ShadowMover>(db, {
    text: `select user_id as "userId", served, candidate, context_version as "contextVersion",
        ${epochMs('computed_at')} as "computedAt"
      from tandem.shadow_movers where rollout_id = $1 order by abs(candidate - served) desc, user_id`,
    values: [rolloutId],
  });
  return {
    predictor,
    state,
    plan,
    movers,
    processes: new Set(rows.map(({ processId }) => processId)).size,
    updatedAt: rows[0]?.updatedAt ?? null,
    rows: rows.map(({ segment, counts }) => ({ segment: segmentOf(segment), counts })),
  };
}

/**
 * Returns a segment as a text. A name may contain any character, so the separator from the value is escaped in names.
 */
function segmentText(segment: Segment): string {
  if (segment === null) return '';
  const feature = encodeURIComponent(segment.feature);
  return segment.value === null ? feature : `${feature}=${segment.value}`;
}

function segmentOf(text: string): Segment {
  if (text === '') return null;
  const [feature = '', ...value] = text.split('=');
  return { feature: decodeURIComponent(feature), value: value.length === 0 ? null : value.join('=') };
}
