/**
 * Selects users whose context is newer than their stored prediction. They are written chunk by chunk while they are
 * read, guarded by the fence of the step, so that memory stays constant. The next attempt first deletes these chunks.
 */

import type { ClaimedStep, Run } from '@tandem/prediction/runs/runs';
import type pg from 'pg';
import { IS_ERASED } from '../certificate/erased-users.ts';
import { asRelation } from '../features/feature-statement.ts';
import { type Db, query, queryFirst, transaction } from '../sql/database.ts';
import { changeRows, statements } from '../sql/statements.ts';
import type { Plan } from './plan.ts';
import { findUnfinished } from './run-rows.ts';
import { lockStep } from './run-steps.ts';

/** Above this share of the users, a run of all users is cheaper than a stale run. */
const STALE_SHARE = 1 / 5;

/**
 * Writes the stale users as chunks while it reads them. Returns the number of users, or null if the fence is lost.
 * @param db the transaction of the scan
 */
export async function scanStale(pool: pg.Pool, db: pg.PoolClient, plan: Plan): Promise<number | null> {
  const { claimed, chunkSize, timeoutMs } = plan;
  if (!(await deleteEarlier(pool, claimed))) return null;
  await query(db, {
    text: `declare stale_users no scroll cursor for ${staleSql(plan)}`,
    values: await staleValues(pool, plan),
  });
  let users = 0;
  for (let no = 0; ; no++) {
    const rows = await query<{ user_id: string }>(db, { text: `fetch ${chunkSize} from stale_users`, timeoutMs });
    if (rows.length === 0) break;
    users += rows.length;
    if (
      !(await writeNamed(
        pool,
        claimed,
        no,
        rows.map((row) => row.user_id),
      ))
    )
      return null;
  }
  await query(db, { text: 'close stale_users' });
  return users;
}

/** Deletes the chunks of an earlier attempt at the plan. Returns false if the fence is lost. */
export function deleteEarlier(pool: pg.Pool, claimed: ClaimedStep): Promise<boolean> {
  return transaction(pool, async (db) => {
    if (!(await lockStep(db, claimed))) return false;
    await changeRows(db, statements.deleteFrom('tandem.chunks').where('run_id', '=', claimed.runId));
    return true;
  });
}

/** Writes a chunk of these users. Returns false if the fence is lost. */
export function writeNamed(
  pool: pg.Pool,
  claimed: ClaimedStep,
  no: number,
  userIds: readonly string[],
): Promise<boolean> {
  return transaction(pool, async (db) => {
    if (!(await lockStep(db, claimed))) return false;
    const row = { run_id: claimed.runId, no, user_ids: [...userIds] };
    await changeRows(db, statements.insertInto('tandem.chunks').values(row));
    return true;
  });
}

/**
 * Returns SQL of users with a feature row and a context newer than their stored prediction for the run's model version,
 * in order. Until all contexts record the last concerning event, the last event counts.
 */
export function staleSql({ version }: Pick<Plan, 'version'>): string {
  return `select c.user_id ${outdatedSql('0')}
    and c.user_id in (select f.user_id::text collate "C" from ${asRelation(version.query.sql)})
    order by c.user_id`;
}

/**
 * Returns SQL that joins a user's stored predictions: the overlay entry `o`, the row `g` of the current generation, and
 * the row `b` of its base.
 * @param users a table, or its alias, with a column user_id
 */
export function storedJoins(users: string): string {
  return `left join tandem.overlay o on o.predictor = $1 and o.user_id = ${users}.user_id
      and o.model_version_id = $2 and o.overlay_floor = $3 and o.history = tandem.current_history()
    left join tandem.predictions g on g.generation_id = $4 and g.user_id = ${users}.user_id
    left join tandem.predictions b on b.generation_id = $5 and b.user_id = ${users}.user_id`;
}

/**
 * Returns SQL, from its `from` on, of contexts `c` newer than the user's stored prediction, unordered, with or without
 * a feature row. It uses one comparison instead of `touched ? $1`: Postgres assumes that `touched ? $1` holds for a
 * hundredth of the rows, and would look up each user by index.
 * @param absent the label of users without a stored prediction; `null` excludes such users
 */
export function outdatedSql(absent: '0' | 'null'): string {
  return `from tandem.user_contexts c ${storedJoins('c')}
    cross join (select patterns_pending as is_pending from tandem.predictors where name = $1) p
    where case when p.is_pending then c.version else (c.touched ->> $1)::bigint end
        > coalesce(greatest(o.context_version, coalesce(g.context_version, b.context_version)), ${absent})
      and not (${IS_ERASED})`;
}

export async function staleValues(pool: pg.Pool, { run }: Pick<Plan, 'run'>): Promise<readonly unknown[]> {
  const generation = await findServedGeneration(pool, run);
  // Rows from before a bulk change are stale: reads infer those users live.
  const isCurrent = (sourceVersion: number | null | undefined) => (sourceVersion ?? 0) >= run.sourceVersion;
  return [
    run.predictor,
    run.modelVersionId,
    run.overlayFloor + run.sourceVersion,
    generation && isCurrent(generation.ownSourceVersion) ? generation.id : null,
    generation && isCurrent(generation.baseSourceVersion) ? generation.baseId : null,
  ];
}

interface ServedGeneration {
  readonly id: string;
  readonly baseId: string | null;
  /** The number of users, including those of its base. */
  readonly users: number;
  /** The source version of its own run. */
  readonly ownSourceVersion: number;
  /** The source version of the base's run; null without a base. */
  readonly baseSourceVersion: number | null;
}

function findServedGeneration(db: Db, { predictor, modelVersionId }: Run): Promise<ServedGeneration | undefined> {
  return queryFirst<ServedGeneration>(db, {
    text: `select g.id, g.base_id as "baseId", g.users + coalesce(g.users_left, 0) as users,
        r.source_version as "ownSourceVersion", br.source_version as "baseSourceVersion"
      from tandem.arms a join tandem.generations g on g.id = a.generation_id join tandem.runs r on r.id = g.run_id
      left join tandem.generations b on b.id = g.base_id left join tandem.runs br on br.id = b.run_id
      where a.predictor = $1 and a.model_version_id = $2`,
    values: [predictor, modelVersionId],
  });
}

/**
 * Returns whether many users are stale, or all, since a watched source was changed in bulk after the served generation
 * was computed. Returns false if another run of all users is unfinished, since it scores the stale users, too.
 */
export async function shouldScoreAll(
  pool: pg.Pool,
  db: pg.PoolClient,
  { run, version, timeoutMs }: Plan,
  users: number,
): Promise<boolean> {
  if ((await findUnfinished(pool, run, ['all'], run.id)) !== undefined) return false;
  const generation = await findServedGeneration(pool, run);
  const { ownSourceVersion = run.sourceVersion, baseSourceVersion = null } = generation ?? {};
  if (Math.min(ownSourceVersion, baseSourceVersion ?? ownSourceVersion) < run.sourceVersion) return true;
  if (users === 0) return false;
  if (generation) return users > generation.users * STALE_SHARE;
  const rows = await query<{ users: number }>(db, {
    text: `select count(*) as users from ${asRelation(version.query.sql)}`,
    timeoutMs,
  });
  return users > (rows[0]?.users ?? 0) * STALE_SHARE;
}
