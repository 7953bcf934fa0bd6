/**
 * Cuts a run into chunks, inside Postgres: however many users there are, only counts and boundaries come back. A chunk of
 * scope `all` is a key range between boundaries from one ordered pass over the key column alone; its first and last are unbounded, so
 * that users who appear meanwhile are scored too.
 */

import type { ModelVersion } from '@tandem/prediction/predictor';
import type { Run } from '@tandem/prediction/runs/runs';
import type pg from 'pg';
import { type Db, limitStatements, query, transaction } from './database.ts';
import { asRelation } from './feature-statement.ts';
import { findBoundaries } from './key-boundaries.ts';
import { createPartition, partitionOf } from './partition.ts';
import { findModelVersion } from './registry.ts';
import { findUnfinishedAll, isSecondAll, lockRun, requireRun } from './run-rows.ts';

/** The mean users of a bucket: listpacks of such hashes stay far below Redis' own limit. */
const USERS_PER_BUCKET = 48;
/** A stale run over more than this share of the users is cheaper as a run of all. */
const STALE_SHARE = 1 / 5;
const PLAN_TIMEOUT_MS = 1_800_000;
/** Postgres gives up first, where it still can. */
const CLIENT_GRACE_MS = 2_000;

/** A stale run that grows to `all` may meet another that does the same: the second look finds the first. */
export async function planRun(pool: pg.Pool, runId: string): Promise<Run> {
  try {
    return await cutRun(pool, runId);
  } catch (error) {
    if (!isSecondAll(error)) throw error;
    return cutRun(pool, runId);
  }
}

function cutRun(pool: pg.Pool, runId: string): Promise<Run> {
  return transaction(pool, async (db) => {
    const run = await lockRun(db, runId);
    if (run.state !== 'planned') return run;
    await limitStatements(db, PLAN_TIMEOUT_MS);
    const version = await findModelVersion(db, run.modelVersionId);
    const chunkSize = await findChunkSize(db, run.predictor);
    const plan = { run, version, chunkSize };
    const users = run.scope === 'all' ? await cutAll(db, plan) : await cutNamed(db, plan);
    await query(db, {
      text: `update tandem.runs set state = 'running', started_at = clock_timestamp(), users_expected = $2,
        history = tandem.current_history(),
        chunk_count = (select count(*) from tandem.chunks where run_id = $1) where id = $1`,
      values: [runId, users],
    });
    return requireRun(db, runId);
  });
}

interface Plan {
  readonly run: Run;
  readonly version: ModelVersion;
  readonly chunkSize: number;
}

async function findChunkSize(db: Db, predictor: string): Promise<number> {
  const rows = await query<{ chunkSize: number }>(db, {
    text: `select (policy -> 'batch' ->> 'chunkSize')::int as "chunkSize" from tandem.predictors where name = $1`,
    values: [predictor],
  });
  return rows[0]?.chunkSize ?? 10_000;
}

async function cutAll(db: pg.PoolClient, { run, version, chunkSize }: Plan): Promise<number> {
  const { users: rows, keys } = await findBoundaries(db, version.query, chunkSize, PLAN_TIMEOUT_MS + CLIENT_GRACE_MS);
  if (rows > 0) await insertRanges(db, run.id, keys);
  const users = rows - (await countErased(db, version));
  const [generation] = await query<{ id: string }>(db, {
    text: `insert into tandem.generations (predictor, number, model_version_id, run_id, history, buckets)
      select $1, coalesce(max(number), 0) + 1, $2, $3, tandem.current_history(), $4
      from tandem.generations where predictor = $1 returning id`,
    values: [run.predictor, run.modelVersionId, run.id, Math.max(1, Math.ceil(users / USERS_PER_BUCKET))],
  });
  await createPartition(db, generation?.id ?? '');
  return users;
}

async function insertRanges(db: Db, runId: string, keys: readonly string[]): Promise<void> {
  await query(db, {
    text: `insert into tandem.chunks (run_id, no, from_key, to_key)
      select $1, no, key, lead(key) over (order by no) from (
        select 0 as no, null as key union all select no, key from unnest($2::text[]) with ordinality as keys(key, no)
      ) ranges`,
    values: [runId, keys],
    timeoutMs: PLAN_TIMEOUT_MS,
  });
}

/** Users of the query who are erased: they are not expected. Where nobody is, the query is not asked again. */
async function countErased(db: Db, { query: { sql } }: ModelVersion): Promise<number> {
  const rows = await query<{ users: number }>(db, {
    text: `with erased as materialized (
        select user_id from tandem.user_contexts where deleted_version > 0 and version = deleted_version
      )
      select case when (select count(*) from erased) = 0 then 0 else (
        select count(distinct f.user_id) from ${asRelation(sql)}
        where (f.user_id::text collate "C") in (select e.user_id from erased e)
      ) end as users`,
    timeoutMs: PLAN_TIMEOUT_MS,
  });
  return rows[0]?.users ?? 0;
}

/** Chunks of users by name: those that the run names, or those that are stale. */
async function cutNamed(db: pg.PoolClient, plan: Plan): Promise<number> {
  const { run, chunkSize } = plan;
  const named = run.scope === 'users' ? NAMED : await staleSql(db, plan);
  const counts = await query<{ users: number }>(db, {
    text: `insert into tandem.chunks (run_id, no, user_ids)
      select $1, (n - 1) / $2, array_agg(user_id order by n) from (
        select user_id, row_number() over (order by user_id) as n from (${named}) named
      ) numbered group by 2 returning cardinality(user_ids) as users`,
    values: [run.id, chunkSize],
    timeoutMs: PLAN_TIMEOUT_MS,
  });
  const users = counts.reduce((sum, chunk) => sum + chunk.users, 0);
  if (run.scope === 'users' || !(await shouldScoreAll(db, plan, users))) return users;
  await query(db, { text: 'delete from tandem.chunks where run_id = $1', values: [run.id] });
  await query(db, { text: `update tandem.runs set scope = 'all' where id = $1`, values: [run.id] });
  return cutAll(db, plan);
}

const NAMED = 'select u.user_id from tandem.runs r, unnest(r.user_ids) as u(user_id) where r.id = $1';

/** Users with a row whose context is newer than what is stored of them for the run's model version. */
async function staleSql(db: Db, { run, version }: Plan): Promise<string> {
  const generation = await findServedGeneration(db, run);
  const stored = generation ? `left join ${partitionOf(generation.id)} g on g.user_id = c.user_id` : '';
  const label = generation ? 'greatest(o.context_version, g.context_version)' : 'o.context_version';
  return `select c.user_id from tandem.runs r
    join tandem.user_contexts c on c.touched ? r.predictor
    left join tandem.overlay o on o.predictor = r.predictor and o.user_id = c.user_id
      and o.model_version_id = r.model_version_id and o.overlay_floor = r.overlay_floor and o.history = tandem.current_history()
    ${stored}
    where r.id = $1 and (c.touched ->> r.predictor)::bigint > coalesce(${label}, -1)
      and not (c.deleted_version > 0 and c.version = c.deleted_version)
      and c.user_id in (select f.user_id::text collate "C" from ${asRelation(version.query.sql)})`;
}

interface ServedGeneration extends Record<string, unknown> {
  readonly id: string;
  readonly users: number;
}

async function findServedGeneration(db: Db, run: Run): Promise<ServedGeneration | undefined> {
  const rows = await query<ServedGeneration>(db, {
    text: `select g.id, g.users from tandem.arms a join tandem.generations g on g.id = a.generation_id
      where a.predictor = $1 and a.model_version_id = $2`,
    values: [run.predictor, run.modelVersionId],
  });
  return rows[0];
}

/** Another run of all that is under way already will do. */
async function shouldScoreAll(db: Db, { run, version }: Plan, users: number): Promise<boolean> {
  if (users === 0 || (await findUnfinishedAll(db, run, run.id)) !== undefined) return false;
  const generation = await findServedGeneration(db, run);
  if (generation) return users > generation.users * STALE_SHARE;
  const rows = await query<{ users: number }>(db, {
    text: `select count(*) as users from ${asRelation(version.query.sql)}`,
    timeoutMs: PLAN_TIMEOUT_MS,
  });
  return users > (rows[0]?.users ?? 0) * STALE_SHARE;
}
