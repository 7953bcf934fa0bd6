/**
 * Splits a run into chunks inside Postgres: only counts and boundaries are sent, for any number of users. A chunk of
 * scope `all` is a key range between boundaries from one ordered pass over the key column. The first and last chunk are
 * unbounded, so that users that appear later are scored, too.
 *
 * The scan of the feature query is a separate transaction that takes no locks and writes nothing. A short transaction
 * writes its result, if the fence of the step is still the claim's. Users of stale runs and of budgeted runs are
 * written chunk by chunk (stale-users.ts, choose-users.ts).
 */

import type { ModelVersion } from '@tandem/freshness/predictor';
import { type ChunkSizes, chooseBoundaries, type MeasuredRun, sizeChunks } from '@tandem/prediction/runs/chunk-sizes';
import type { ClaimedStep, Run } from '@tandem/prediction/runs/runs';
import type pg from 'pg';
import { cancellableRead, TransactionTooLong } from '../features/cancellable.ts';
import type { Pools } from '../features/feature-session.ts';
import { findModelVersion } from '../models/registry.ts';
import { type Db, query, transaction } from '../sql/database.ts';
import { keepHistory } from '../sql/history-marks.ts';
import { createPartition } from '../sql/partition.ts';
import { changeRows, fetchFirst, statements } from '../sql/statements.ts';
import { type AffordedUsers, type BaseGeneration, chooseUsers, findAffordedUsers } from './choose-users.ts';
import { findBoundaries } from './key-boundaries.ts';
import { freeStep, isSecondAll, requireRun } from './run-rows.ts';
import { lockStep } from './run-steps.ts';
import { scanStale, shouldScoreAll } from './stale-users.ts';

/** The mean number of users in a bucket: listpacks of such hashes stay far below Redis' own limit. */
const USERS_PER_BUCKET = 48;
/** The time limit of a plan if the predictor's policy has none. */
const PLAN_TIMEOUT_MS = 1_800_000;
/** The extra time of the client, so that Postgres times out first if it responds. */
const CLIENT_GRACE_MS = 2_000;

/** Plans a run. Returns null if the fence is lost, or the database's history has changed since the claim. */
export async function planRun(pools: Pools, claimed: ClaimedStep, lost: AbortSignal): Promise<Run | null> {
  const { pool } = pools;
  const planned = await requireRun(pool, claimed.runId);
  const run = { ...planned, sourceVersion: await findSourceVersion(pool, planned.predictor) };
  const version = await findModelVersion(pool, run.modelVersionId);
  const afforded = await findAffordedUsers(pool, run);
  const [budget, note] = afforded && 'why' in afforded ? [null, afforded.why] : [afforded, null];
  const { chunkSize: most, timeoutMs } = await findBatchPolicy(pool, run.predictor);
  const sizes = await findChunkSizes(pool, run, most);
  const plan = { run, version, claimed, budget, note, sizes, chunkSize: sizes.size, timeoutMs };
  const cut = run.scope === 'users' ? { kind: 'named' as const, users: null } : await scan(pools, plan, lost);
  if (cut === null) return null;
  try {
    return await writePlan(pool, plan, cut);
  } catch (error) {
    if (!isSecondAll(error) || run.scope !== 'stale' || cut.kind !== 'all') throw error;
    // Another stale run became a run of all users in the meantime. This run keeps its own chunks.
    return writePlan(pool, plan, { kind: 'named', users: cut.named });
  }
}

/**
 * Reads the source version before any features, so the run's generation includes every bulk change up to this version.
 */
async function findSourceVersion(db: Db, predictor: string): Promise<number> {
  const source = statements.selectFrom('tandem.source_versions').select('version').where('predictor', '=', predictor);
  return (await fetchFirst(db, source))?.version ?? 0;
}

export interface Plan {
  /** The run before its source version is written. */
  readonly run: Run;
  readonly version: ModelVersion;
  readonly claimed: ClaimedStep;
  readonly sizes: ChunkSizes;
  /** The number of users in each chunk of named users. */
  readonly chunkSize: number;
  readonly timeoutMs: number;
  /** The budget of the run; null if all users of its scope are scored. */
  readonly budget: AffordedUsers | null;
  /** The note for the run's record, which the run has at its end. */
  readonly note: string | null;
}

/**
 * Returns the chunk size of a run, by the measurements of the last run of its kind.
 * @param most the maximum number of users in a chunk, from the predictor's policy
 */
async function findChunkSizes(db: Db, run: Run, most: number): Promise<ChunkSizes> {
  const [measured] = await query<MeasuredRun>(db, {
    text: `select (sum(c.scored + c.failed) / sum(extract(epoch from c.committed_at - c.claimed_at)))::float8 as "usersPerSecond",
        extract(epoch from max(c.committed_at) - min(c.claimed_at))::float8 as seconds, sum(c.scored + c.failed)::float8 as users
      from tandem.chunks c
      where c.committed_at > c.claimed_at and c.run_id = (
        select r.id from tandem.runs r where r.predictor = $1 and r.scope = $2 and r.state in ('done', 'done_with_errors')
        order by r.created_at desc limit 1)
      having count(*) > 0`,
    values: [run.predictor, run.scope],
  });
  return sizeChunks(measured ?? null, most);
}

/** The chunks that a run is split into. */
type Cut =
  /** Key ranges. `named` counts the stale users whose chunks the scan wrote earlier. */
  | { readonly kind: 'all'; readonly users: number; readonly keys: readonly string[] | null; readonly named: number }
  /** Users chosen within a budget, above a generation of all users. The scan wrote their chunks. */
  | { readonly kind: 'chosen'; readonly users: number; readonly base: BaseGeneration }
  /** Named users. `users` null: the run names them and no chunk is written yet; otherwise the scan wrote the chunks. */
  | { readonly kind: 'named'; readonly users: number | null };

/** Returns the policy of the predictor's runs; `chunkSize` is the maximum number of users in a chunk. */
async function findBatchPolicy(db: Db, predictor: string): Promise<Pick<Plan, 'chunkSize' | 'timeoutMs'>> {
  const rows = await query<{ chunkSize: number | null; timeoutMs: number | null }>(db, {
    text: `select (policy -> 'batch' ->> 'chunkSize')::int as "chunkSize",
      (policy -> 'batch' ->> 'planTimeoutMs')::float8 as "timeoutMs" from tandem.predictors where name = $1`,
    values: [predictor],
  });
  return { chunkSize: rows[0]?.chunkSize ?? 10_000, timeoutMs: rows[0]?.timeoutMs ?? PLAN_TIMEOUT_MS };
}

/**
 * Scans the feature query. Returns null if the fence is lost. If the time limit is exceeded, rejects with setting and
 * remedy.
 */
async function scan({ pool, features }: Pools, plan: Plan, lost: AbortSignal): Promise<Cut | null> {
  const { run, timeoutMs, budget } = plan;
  try {
    if (budget) {
      const users = await chooseUsers({ pool, features }, plan, budget, lost);
      return users === null ? null : { kind: 'chosen', users, base: budget.base };
    }
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

/**
 * Writes the plan in one short transaction. Returns null if the fence is lost or the database's history has changed
 * since the claim.
 */
function writePlan(pool: pg.Pool, plan: Plan, cut: Cut): Promise<Run | null> {
  const { run, claimed } = plan;
  return transaction(pool, async (db) => {
    if (!(await lockStep(db, claimed)) || (await keepHistory(db)) !== claimed.history) return null;
    const users = cut.kind === 'all' ? await writeAll(db, plan, cut) : (cut.users ?? (await writeNamed(db, plan)));
    await query(db, {
      text: `update tandem.runs set state = 'running', started_at = clock_timestamp(), users_expected = $2, source_version = $3, chunk_ms = $4,
        note = coalesce($5, note), history = tandem.current_history(), chunk_count = (select count(*) from tandem.chunks where run_id = $1),
        ${freeStep()}, step_attempts = 0, step_error = null where id = $1`,
      values: [run.id, users, run.sourceVersion, Math.round(plan.sizes.chunkMs), plan.note],
    });
    if (cut.kind === 'all') await createGeneration(db, run, users);
    if (cut.kind === 'chosen' && users > 0) await createGeneration(db, run, users, cut.base);
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

/**
 * Inserts the generation. The partition is created last, since it locks its parent until the commit. With a base, times
 * of predictions count from the base's start, since rows of the previous generation are carried over. The base is
 * locked, so that it cannot be dropped below the new generation.
 */
async function createGeneration(db: Db, run: Run, users: number, base: BaseGeneration | null = null): Promise<void> {
  const [generation] = await query<{ id: string }>(db, {
    text: `with base as (
        select id, started_at from tandem.generations where id = $5 and state = 'published' for share
      )
      insert into tandem.generations (predictor, number, model_version_id, run_id, history, buckets, cleared_erasures, base_id, started_at)
      select $1, (select coalesce(max(number), 0) + 1 from tandem.generations where predictor = $1), $2, $3,
        tandem.current_history(), $4, (select erasures from tandem.settings), base.id, coalesce(base.started_at, clock_timestamp())
      from (select) one left join base on true where base.id is not null or $5::uuid is null returning id`,
    values: [
      ...[run.predictor, run.modelVersionId, run.id],
      Math.max(1, Math.ceil((users + (base?.usersAbove ?? 0)) / USERS_PER_BUCKET)),
      base?.id ?? null,
    ],
  });
  if (!generation) throw new Error(`generation ${base?.number} of ${run.predictor} was dropped during the plan`);
  await createPartition(db, generation.id);
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

/** Writes chunks of the users that the run names. */
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
