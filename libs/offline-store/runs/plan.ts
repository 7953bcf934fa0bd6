/**
 * Cuts a run into chunks, inside Postgres: however many users there are, only counts and boundaries come back. A chunk of
 * scope `all` is a key range between boundaries from one ordered pass over the key column alone; its first and last are unbounded, so
 * that users who appear meanwhile are scored too.
 *
 * The scan of the feature query is a transaction of its own that locks nothing and writes nothing. What it found is written
 * by a short one, if the fence of the step is still the claim's. The users of a stale run are written chunk by chunk during
 * the scan, each under the fence, so that memory stays flat; the next attempt begins by deleting them.
 */

import type { ModelVersion } from '@tandem/freshness/predictor';
import { type ChunkSizes, chooseBoundaries } from '@tandem/prediction/runs/chunk-sizes';
import type { ClaimedStep, Run } from '@tandem/prediction/runs/runs';
import type pg from 'pg';
import { cancellableRead, TransactionTooLong } from '../features/cancellable.ts';
import type { Pools } from '../features/feature-session.ts';
import { asRelation } from '../features/feature-statement.ts';
import { findModelVersion } from '../models/registry.ts';
import { type Db, query, transaction } from '../sql/database.ts';
import { keepHistory } from '../sql/history-marks.ts';
import { createPartition } from '../sql/partition.ts';
import { changeRows, fetchFirst, statements } from '../sql/statements.ts';
import { findChunkSizes } from './chunk-size.ts';
import { findBoundaries } from './key-boundaries.ts';
import { findUnfinishedAll, freeStep, isSecondAll, requireRun } from './run-rows.ts';
import { lockStep } from './run-steps.ts';

/** The mean users of a bucket: listpacks of such hashes stay far below Redis' own limit. */
const USERS_PER_BUCKET = 48;
/** A stale run over more than this share of the users is cheaper as a run of all. */
const STALE_SHARE = 1 / 5;
/** Where the predictor's policy does not say. */
const PLAN_TIMEOUT_MS = 1_800_000;
/** Postgres gives up first, where it still can. */
const CLIENT_GRACE_MS = 2_000;

/** Returns null where the fence is lost, or the database's history has changed since the claim. */
export async function planRun(pools: Pools, claimed: ClaimedStep, lost: AbortSignal): Promise<Run | null> {
  const { pool } = pools;
  const planned = await requireRun(pool, claimed.runId);
  const run = { ...planned, sourceVersion: await findSourceVersion(pool, planned.predictor) };
  const version = await findModelVersion(pool, run.modelVersionId);
  const { chunkSize: most, timeoutMs } = await findBatchPolicy(pool, run.predictor);
  const sizes = await findChunkSizes(pool, run, most);
  const plan = { run, version, claimed, sizes, chunkSize: sizes.size, timeoutMs };
  const cut = run.scope === 'users' ? { kind: 'named' as const, users: null } : await scan(pools, plan, lost);
  if (cut === null) return null;
  try {
    return await writePlan(pool, plan, cut);
  } catch (error) {
    if (!isSecondAll(error) || run.scope !== 'stale' || cut.kind === 'named') throw error;
    // Another stale run became one of all users in the meantime; this one keeps its own chunks.
    return writePlan(pool, plan, { kind: 'named', users: cut.named });
  }
}

/** Read before any features: what the run makes holds every bulk change up to this version. */
async function findSourceVersion(db: Db, predictor: string): Promise<number> {
  const source = statements.selectFrom('tandem.source_versions').select('version').where('predictor', '=', predictor);
  return (await fetchFirst(db, source))?.version ?? 0;
}

interface Plan {
  /** Its source version is not written yet. */
  readonly run: Run;
  readonly version: ModelVersion;
  readonly claimed: ClaimedStep;
  readonly sizes: ChunkSizes;
  /** Of chunks of named users. */
  readonly chunkSize: number;
  readonly timeoutMs: number;
}

/** The chunks that a run is to be cut into. */
type Cut =
  /** Key ranges; `named` counts the stale users whose chunks the scan wrote before. */
  | { readonly kind: 'all'; readonly users: number; readonly keys: readonly string[] | null; readonly named: number }
  /** Named users. `users` null: the run names them and no chunk is written yet; otherwise the scan wrote the chunks. */
  | { readonly kind: 'named'; readonly users: number | null };

/** `chunkSize`: the most users of a chunk. */
async function findBatchPolicy(db: Db, predictor: string): Promise<Pick<Plan, 'chunkSize' | 'timeoutMs'>> {
  const rows = await query<{ chunkSize: number | null; timeoutMs: number | null }>(db, {
    text: `select (policy -> 'batch' ->> 'chunkSize')::int as "chunkSize",
      (policy -> 'batch' ->> 'planTimeoutMs')::float8 as "timeoutMs" from tandem.predictors where name = $1`,
    values: [predictor],
  });
  return { chunkSize: rows[0]?.chunkSize ?? 10_000, timeoutMs: rows[0]?.timeoutMs ?? PLAN_TIMEOUT_MS };
}

/** Returns null where the fence is lost. Rejects with the setting and the remedy where the time limit is exceeded. */
async function scan({ pool, features }: Pools, plan: Plan, lost: AbortSignal): Promise<Cut | null> {
  const { run, timeoutMs } = plan;
  try {
    return await cancellableRead(features, { timeoutMs, signal: lost }, async (db) => {
      if (run.scope === 'all') return { ...(await scanAll(db, plan)), named: 0 };
      const named = await scanStale(pool, db, plan);
      if (named === null) return null;
      return (await shouldScoreAll(pool, db, plan, named))
        ? { ...(await scanAll(db, plan)), named }
        : { kind: 'named', users: named };
    });
  } catch (error) {
    if (!(error instanceof TransactionTooLong)) throw error;
    const setting = `predictors.${run.predictor}`;
    throw new Error(
      `the feature query did not list its users within batch.planTimeout (${timeoutMs / 1_000} s), at ${setting}.features.sql; ` +
        `make the query faster, or raise ${setting}.batch.planTimeout, then run \`tandem run resume ${run.id}\``,
      { cause: error },
    );
  }
}

async function scanAll(db: pg.PoolClient, { version, sizes, timeoutMs }: Plan) {
  const { users, keys } = await findBoundaries(db, version.query, sizes.lastSize, timeoutMs + CLIENT_GRACE_MS);
  return { kind: 'all' as const, users, keys: users > 0 ? chooseBoundaries(keys, users, sizes) : null };
}

/** One short transaction. Returns null where the fence is lost, or the database is in another history than at the claim. */
function writePlan(pool: pg.Pool, plan: Plan, cut: Cut): Promise<Run | null> {
  const { run, claimed } = plan;
  return transaction(pool, async (db) => {
    if (!(await lockStep(db, claimed)) || (await keepHistory(db)) !== claimed.history) return null;
    const users = cut.kind === 'all' ? await writeAll(db, plan, cut) : (cut.users ?? (await writeNamed(db, plan)));
    await query(db, {
      text: `update tandem.runs set state = 'running', started_at = clock_timestamp(), users_expected = $2, source_version = $3, chunk_ms = $4,
        history = tandem.current_history(), chunk_count = (select count(*) from tandem.chunks where run_id = $1),
        ${freeStep()}, step_attempts = 0, step_error = null where id = $1`,
      values: [run.id, users, run.sourceVersion, Math.round(plan.sizes.chunkMs)],
    });
    if (cut.kind === 'all') await createGeneration(db, run, users);
    return requireRun(db, run.id);
  });
}

async function writeAll(db: Db, { run }: Plan, { users, keys }: Extract<Cut, { kind: 'all' }>): Promise<number> {
  await changeRows(db, statements.deleteFrom('tandem.chunks').where('run_id', '=', run.id));
  const other = statements.updateTable('tandem.runs').where('id', '=', run.id).where('scope', '<>', 'all');
  await changeRows(db, other.set({ scope: 'all' }));
  if (keys !== null) await insertRanges(db, run.id, keys);
  return users;
}

/** The partition comes last: it locks its parent until the commit. */
async function createGeneration(db: Db, run: Run, users: number): Promise<void> {
  const [generation] = await query<{ id: string }>(db, {
    text: `insert into tandem.generations (predictor, number, model_version_id, run_id, history, buckets, cleared_erasures)
      select $1, coalesce(max(number), 0) + 1, $2, $3, tandem.current_history(), $4, (select erasures from tandem.settings)
      from tandem.generations where predictor = $1 returning id`,
    values: [run.predictor, run.modelVersionId, run.id, Math.max(1, Math.ceil(users / USERS_PER_BUCKET))],
  });
  await createPartition(db, generation?.id ?? '');
}

async function insertRanges(db: Db, runId: string, keys: readonly string[]): Promise<void> {
  await query(db, {
    text: `insert into tandem.chunks (run_id, no, from_key, to_key)
      select $1, no, key, lead(key) over (order by no) from (
        select 0 as no, null as key union all select no, key from unnest($2::text[]) with ordinality as keys(key, no)
      ) ranges`,
    values: [runId, keys],
  });
}

/** Chunks of the users that the run names. */
async function writeNamed(db: Db, { run, chunkSize }: Plan): Promise<number> {
  const counts = await query<{ users: number }>(db, {
    text: `insert into tandem.chunks (run_id, no, user_ids)
      select $1, (n - 1) / $2, array_agg(user_id order by n) from (
        select u.user_id, row_number() over (order by u.user_id) as n
        from tandem.runs r, unnest(r.user_ids) as u(user_id) where r.id = $1
      ) numbered group by 2 returning cardinality(user_ids) as users`,
    values: [run.id, chunkSize],
  });
  return counts.reduce((sum, chunk) => sum + chunk.users, 0);
}

/**
 * Writes the stale users as chunks while it reads them. Returns the number of users, or null where the fence is lost.
 * @param db the transaction of the scan
 */
async function scanStale(pool: pg.Pool, db: pg.PoolClient, plan: Plan): Promise<number | null> {
  const { claimed, chunkSize, timeoutMs } = plan;
  if (!(await writeStale(pool, claimed, 0, []))) return null;
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
      !(await writeStale(
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

/** Writes one chunk; with no users, deletes the chunks of an earlier attempt. Returns false where the fence is lost. */
function writeStale(pool: pg.Pool, claimed: ClaimedStep, no: number, userIds: readonly string[]): Promise<boolean> {
  return transaction(pool, async (db) => {
    if (!(await lockStep(db, claimed))) return false;
    const { runId } = claimed;
    const row = { run_id: runId, no, user_ids: [...userIds] };
    const earlier = statements.deleteFrom('tandem.chunks').where('run_id', '=', runId);
    await changeRows(db, userIds.length === 0 ? earlier : statements.insertInto('tandem.chunks').values(row));
    return true;
  });
}

/**
 * Users with a row whose context is newer than what is stored of them for the run's model version, in order. While not all
 * contexts tell what concerns the predictor, the last event does.
 */
function staleSql({ version }: Plan): string {
  return `select c.user_id from tandem.user_contexts c
    left join tandem.overlay o on o.predictor = $1 and o.user_id = c.user_id
      and o.model_version_id = $2 and o.overlay_floor = $3 and o.history = tandem.current_history()
    left join tandem.predictions g on g.generation_id = $4 and g.user_id = c.user_id
    cross join (select patterns_pending as is_pending from tandem.predictors where name = $1) p
    where (c.touched ? $1 or p.is_pending and c.version > 0)
      and case when p.is_pending then c.version else (c.touched ->> $1)::bigint end
        > coalesce(greatest(o.context_version, g.context_version), -1)
      and not (c.deleted_version > 0 and c.version = c.deleted_version)
      and c.user_id in (select f.user_id::text collate "C" from ${asRelation(version.query.sql)})
    order by c.user_id`;
}

async function staleValues(pool: pg.Pool, { run }: Plan): Promise<readonly unknown[]> {
  const generation = await findServedGeneration(pool, run);
  return [run.predictor, run.modelVersionId, run.overlayFloor + run.sourceVersion, generation?.id ?? null];
}

function findServedGeneration(db: Db, run: Run) {
  const served = statements
    .selectFrom('tandem.arms as a')
    .innerJoin('tandem.generations as g', 'g.id', 'a.generation_id')
    .innerJoin('tandem.runs as r', 'r.id', 'g.run_id')
    .select(['g.id', 'g.users', 'r.source_version as sourceVersion'])
    .where(({ and }) => and({ 'a.predictor': run.predictor, 'a.model_version_id': run.modelVersionId }));
  return fetchFirst(db, served);
}

/**
 * Returns whether many users are stale, or all: a watched source was changed in bulk since the served generation was
 * computed. Returns false also where another run of all users is under way: it scores the stale users too.
 */
async function shouldScoreAll(
  pool: pg.Pool,
  db: pg.PoolClient,
  { run, version, timeoutMs }: Plan,
  users: number,
): Promise<boolean> {
  if ((await findUnfinishedAll(pool, run, run.id)) !== undefined) return false;
  const generation = await findServedGeneration(pool, run);
  if (generation && generation.sourceVersion < run.sourceVersion) return true;
  if (users === 0) return false;
  if (generation) return users > generation.users * STALE_SHARE;
  const rows = await query<{ users: number }>(db, {
    text: `select count(*) as users from ${asRelation(version.query.sql)}`,
    timeoutMs,
  });
  return users > (rows[0]?.users ?? 0) * STALE_SHARE;
}
