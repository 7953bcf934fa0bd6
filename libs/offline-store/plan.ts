/**
 * Cuts a run into chunks, inside Postgres: however many users there are, only counts and boundaries come back. A chunk of
 * scope `all` is a key range between boundaries from one ordered pass over the key column alone; its first and last are unbounded, so
 * that users who appear meanwhile are scored too.
 */

import type { ModelVersion } from '@tandem/prediction/predictor';
import type { Run } from '@tandem/prediction/runs/runs';
import type pg from 'pg';
import { type Db, limitStatements, query, transaction } from './database.ts';
import { readOnly } from './feature-session.ts';
import { asRelation } from './feature-statement.ts';
import { findBoundaries } from './key-boundaries.ts';
import { createPartition } from './partition.ts';
import { findModelVersion } from './registry.ts';
import { findUnfinishedAll, isSecondAll, lockRun, requireRun } from './run-rows.ts';

/** The mean users of a bucket: listpacks of such hashes stay far below Redis' own limit. */
const USERS_PER_BUCKET = 48;
/** A stale run over more than this share of the users is cheaper as a run of all. */
const STALE_SHARE = 1 / 5;
const PLAN_TIMEOUT_MS = 1_800_000;
/** Postgres gives up first, where it still can. */
const CLIENT_GRACE_MS = 2_000;

/**
 * Cuts a run. A stale run that grows to `all` may meet another that does the same: the second look finds the first.
 * @param features the pool of feature statements
 */
export async function planRun(pool: pg.Pool, features: pg.Pool, runId: string): Promise<Run> {
  try {
    return await cutRun(pool, features, runId);
  } catch (error) {
    if (!isSecondAll(error)) throw error;
    return cutRun(pool, features, runId);
  }
}

function cutRun(pool: pg.Pool, features: pg.Pool, runId: string): Promise<Run> {
  return transaction(pool, async (db) => {
    const run = await lockRun(db, runId);
    if (run.state !== 'planned') return run;
    await limitStatements(db, PLAN_TIMEOUT_MS);
    const version = await findModelVersion(db, run.modelVersionId);
    const chunkSize = await findChunkSize(db, run.predictor);
    const plan = { run, version, chunkSize, features };
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
  readonly features: pg.Pool;
}

/** Runs a statement that contains the feature query. */
function ask<T>({ features }: Plan, work: (db: pg.PoolClient) => Promise<T>): Promise<T> {
  return readOnly(features, async (db) => {
    await limitStatements(db, PLAN_TIMEOUT_MS);
    return work(db);
  });
}

async function findChunkSize(db: Db, predictor: string): Promise<number> {
  const rows = await query<{ chunkSize: number }>(db, {
    text: `select (policy -> 'batch' ->> 'chunkSize')::int as "chunkSize" from tandem.predictors where name = $1`,
    values: [predictor],
  });
  return rows[0]?.chunkSize ?? 10_000;
}

async function cutAll(db: pg.PoolClient, plan: Plan): Promise<number> {
  const { run, version, chunkSize } = plan;
  const limitMs = PLAN_TIMEOUT_MS + CLIENT_GRACE_MS;
  const { users: rows, keys } = await ask(plan, (source) => findBoundaries(source, version.query, chunkSize, limitMs));
  if (rows > 0) await insertRanges(db, run.id, keys);
  const users = rows - (await ask(plan, (source) => countErased(source, version)));
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
  const stale = run.scope === 'users' ? null : await findStale(db, plan);
  if (stale !== null && (await shouldScoreAll(db, plan, stale.length))) {
    await query(db, { text: `update tandem.runs set scope = 'all' where id = $1`, values: [run.id] });
    return cutAll(db, plan);
  }
  const counts = await query<{ users: number }>(db, {
    text: `insert into tandem.chunks (run_id, no, user_ids)
      select $1, (n - 1) / $2, array_agg(user_id order by n) from (
        select user_id, row_number() over (order by user_id collate "C") as n from (
          select unnest(coalesce($3::text[], r.user_ids)) as user_id from tandem.runs r where r.id = $1
        ) named
      ) numbered group by 2 returning cardinality(user_ids) as users`,
    values: [run.id, chunkSize, stale],
    timeoutMs: PLAN_TIMEOUT_MS,
  });
  return counts.reduce((sum, chunk) => sum + chunk.users, 0);
}

/** Users with a row whose context is newer than what is stored of them for the run's model version. */
async function findStale(db: Db, plan: Plan): Promise<readonly string[]> {
  const { run, version } = plan;
  const generation = await findServedGeneration(db, run);
  const rows = await ask(plan, (source) =>
    query<{ userId: string }>(source, {
      text: `select c.user_id as "userId" from tandem.user_contexts c
        left join tandem.overlay o on o.predictor = $1 and o.user_id = c.user_id
          and o.model_version_id = $2 and o.overlay_floor = $3 and o.history = tandem.current_history()
        left join tandem.predictions g on g.generation_id = $4 and g.user_id = c.user_id
        where c.touched ? $1 and (c.touched ->> $1)::bigint > coalesce(greatest(o.context_version, g.context_version), -1)
          and not (c.deleted_version > 0 and c.version = c.deleted_version)
          and c.user_id in (select f.user_id::text collate "C" from ${asRelation(version.query.sql)})`,
      values: [run.predictor, run.modelVersionId, run.overlayFloor, generation?.id ?? null],
      timeoutMs: PLAN_TIMEOUT_MS,
    }),
  );
  return rows.map(({ userId }) => userId);
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
async function shouldScoreAll(db: Db, plan: Plan, users: number): Promise<boolean> {
  const { run, version } = plan;
  if (users === 0 || (await findUnfinishedAll(db, run, run.id)) !== undefined) return false;
  const generation = await findServedGeneration(db, run);
  if (generation) return users > generation.users * STALE_SHARE;
  const rows = await ask(plan, (source) =>
    query<{ users: number }>(source, {
      text: `select count(*) as users from ${asRelation(version.query.sql)}`,
      timeoutMs: PLAN_TIMEOUT_MS,
    }),
  );
  return users > (rows[0]?.users ?? 0) * STALE_SHARE;
}
