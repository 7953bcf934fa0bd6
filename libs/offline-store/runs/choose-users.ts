/**
 * Chooses the users of a run with a budget. First come users with an outdated stored prediction, the most read first;
 * then the other most read users; then changed users without a prediction. All other users stay on the current full
 * generation, the base of the new one. A prediction is outdated if an event came after it, or if it expires before the
 * estimated next run.
 *
 * One statement inside Postgres writes the chunks of the first two kinds. It checks for a stored prediction, not for a
 * feature row: a chunk omits users that the feature query no longer returns. Memory stays constant, and all writes are
 * guarded by the fence of the step.
 */

import { TandemError } from '@tandem/freshness/errors';
import { usersWithin } from '@tandem/prediction/demand/estimate-budget';
import { partsOf } from '@tandem/prediction/parts';
import type { Generation } from '@tandem/prediction/runs/generations';
import type { Run } from '@tandem/prediction/runs/runs';
import type pg from 'pg';
import { textArray } from '../certificate/certificate-statement.ts';
import { IS_ERASED } from '../certificate/erased-users.ts';
import { cancellable, cancellableRead } from '../features/cancellable.ts';
import type { Pools } from '../features/feature-session.ts';
import { PLANNED_AT } from '../generations/generation-rows.ts';
import { type Db, query, queryFirst } from '../sql/database.ts';
import { findCpuPerUser } from './budget-facts.ts';
import type { Plan } from './plan.ts';
import { lockStep } from './run-steps.ts';
import { deleteEarlier, outdatedSql, staleSql, staleValues, storedJoins, writeNamed } from './stale-users.ts';

/** The base: the full generation below the new one. */
export interface BaseGeneration extends Pick<Generation, 'id' | 'number' | 'users'> {
  readonly startedAt: Date;
  /** The current generation above the base, whose rows may be carried over; 0 if there is none. */
  readonly usersAbove: number;
}

export interface AffordedUsers {
  readonly base: BaseGeneration;
  /** The number of users that the budget covers. */
  readonly most: number;
  /** Rows that were computed before this time expire before the estimated next run; null if the base has none. */
  readonly expiring: Date | null;
}

/**
 * The maximum age of a base in days. A row of a budgeted generation may be as old as its base, and Redis can represent
 * only 49 days. With an older base, all users are scored.
 */
const BASE_DAYS = 40;
/**
 * The maximum share of users with a row above the base. Each run carries these rows over; above this share a full run
 * costs little more.
 */
const MOST_ABOVE = 0.5;

/**
 * Returns how many users the budget of a run covers; null for a run without a budget. `why` is set if it scores all
 * users despite its budget. Rejects with `invalid_input` if no run has recorded the cost of a user yet.
 */
export async function findAffordedUsers(db: Db, run: Run): Promise<AffordedUsers | { readonly why: string } | null> {
  const { budget } = run;
  if (budget === null || run.scope !== 'all') return null;
  const base = await findBase(db, run);
  const why = whyNoBase(base);
  if (!base || why !== null) return { why: `all users were scored despite the budget: ${why}` };
  const cpuMsPerUser = 'share' in budget ? null : await findCpuPerUser(db, run.predictor);
  const most = usersWithin(budget, { users: base.users, cpuMsPerUser, msPerUser: 0 });
  if (most !== null) return { base, most, expiring: base.expiring };
  throw new TandemError('invalid_input', `No run of ${run.predictor} has recorded its CPU time yet.`, {
    field: 'budget',
    remedy: 'first complete a run of all users, or a run with a budget of {"share": …}',
  });
}

interface PossibleBase extends BaseGeneration {
  readonly isOld: boolean;
  /** Whether a watched source changed in bulk since its run, so that all its rows are stale. */
  readonly isOutdated: boolean;
  readonly expiring: AffordedUsers['expiring'];
}

/**
 * SQL for the estimated time of the next run. It assumes the same interval as between the run of generation `g` and
 * this run.
 */
const NEXT_RUN = `clock_timestamp() + (clock_timestamp() - ${PLANNED_AT})`;

function findBase(db: Db, { predictor, modelVersionId, sourceVersion }: Run): Promise<PossibleBase | undefined> {
  return queryFirst<PossibleBase>(db, {
    text: `select b.id, b.number, b.users, b.started_at as "startedAt", case when g.base_id is null then 0 else g.users end as "usersAbove",
        b.started_at <= clock_timestamp() - interval '${BASE_DAYS} days' as "isOld", r.source_version < $3 as "isOutdated",
        case when greatest(b.started_at, a.expires_from) < e.expiring then e.expiring end as expiring
      from tandem.arms a join tandem.generations g on g.id = a.generation_id
      join tandem.generations b on b.id = coalesce(g.base_id, g.id) join tandem.runs r on r.id = b.run_id
      join tandem.predictors p on p.name = a.predictor
      cross join lateral (select ${NEXT_RUN} - (p.policy -> 'freshness' ->> 'maxAgeMs')::float8 * interval '1 ms' as expiring) e
      where a.predictor = $1 and a.model_version_id = $2 and b.state = 'published'`,
    values: [predictor, modelVersionId, sourceVersion],
  });
}

function whyNoBase(base: PossibleBase | undefined): string | null {
  if (!base) return 'no generation is current';
  const { number, users, usersAbove, isOld, isOutdated } = base;
  if (isOld) return `generation ${number}, the last of all users, is older than ${BASE_DAYS} days`;
  if (isOutdated) return `a watched source was changed in bulk after generation ${number}, the last of all users`;
  if (usersAbove <= users * MOST_ABOVE) return null;
  return `more than ${MOST_ABOVE * 100} % of the users have a row above generation ${number}, the last of all users`;
}

/**
 * Chooses the users of a run, and writes its chunks. Returns the number of chosen users, or null if the fence is lost.
 */
export async function chooseUsers(
  { pool, features }: Pools,
  plan: Plan,
  budget: AffordedUsers,
  lost: AbortSignal,
): Promise<number | null> {
  if (!(await deleteEarlier(pool, plan.claimed))) return null;
  const chosen = await chooseStored(pool, plan, budget, lost);
  if (chosen === null || chosen.users >= budget.most) return chosen?.users ?? null;
  const limits = { timeoutMs: plan.timeoutMs, signal: lost };
  return cancellableRead(features, limits, (db) => chooseChanged(pool, db, plan, chosen, budget.most));
}

/** The number of users so far, and the number of the next chunk. */
interface Chosen {
  readonly users: number;
  readonly chunks: number;
}

/** The assumed maximum duration of a transaction that raises a version, far above the real one. */
const COMMIT_SECONDS = 10;
/** SQL for whether context `c` may have changed since the base was begun, at $6. */
const CHANGED_SINCE = `c.updated_at >= $6::timestamptz - interval '${COMMIT_SECONDS} s'`;

/**
 * SQL, from its `from` on, of read counts `d` joined with the stored predictions of their users, without erased users.
 */
const READ_USERS = `from tandem.read_demand d ${storedJoins('d')} where not exists (
  select from tandem.user_contexts c where c.user_id = d.user_id and ${IS_ERASED})`;
/**
 * SQL of users with a stored prediction, `ranked` by `n`: first the outdated users, then the other read users. Outdated
 * users without counted reads are ordered by their number of events, since users that change often are read often.
 * Contexts that have not changed since the base was begun are not read. Postgres executes the parts of a `union all` in
 * turn and stops when it has enough rows, so the other read users are joined only if the outdated users leave room.
 *
 * $1 to $5: `staleValues`; $6: the start of the base; $7: the maximum number of users; $8: rows from before this time
 * expire, or null; $9: the least weight of the users to read, or null for all
 */
const RANKED = `with changed as materialized (
    select c.user_id, d.log_weight, c.version from (select c.user_id, c.version ${outdatedSql('null')}
      and ${CHANGED_SINCE}) c
    left join tandem.read_demand d using (user_id) where $9::float8 is null or d.log_weight >= $9
  ), outdated as (
    select * from changed union all select d.user_id, d.log_weight, 0 ${READ_USERS}
      and greatest(o.computed_at, g.computed_at, b.computed_at) < $8::timestamptz
      and not exists (select from changed c where c.user_id = d.user_id)
  ), ranked as (
    select user_id, row_number() over () as n from (
      (select user_id from outdated order by log_weight desc nulls last, version desc limit $7)
      union all (select d.user_id ${READ_USERS} and $9::float8 is null and coalesce(o.user_id, g.user_id, b.user_id) is not null
        and not exists (select from outdated u where u.user_id = d.user_id) order by d.log_weight desc limit $7)
      limit $7) taken
  )`;

/**
 * Writes the users with a stored prediction as chunks: the outdated users, then the read users. Returns null if the
 * fence is lost. Rows are inserted in the order of the chunk numbers, so that two planners of one run never deadlock.
 *
 * With a share, all chosen users are scored, so chunks are cut in the order of ids as text. The users of a chunk are
 * then stored together, and reading 5,500 of a million takes 57 ms instead of 216 ms. With CPU minutes, chunks keep the
 * rank of their users, since the last chunks may be dropped.
 */
async function chooseStored(
  pool: pg.Pool,
  plan: Plan,
  { base, most, expiring }: AffordedUsers,
  lost: AbortSignal,
): Promise<Chosen | null> {
  const { claimed, timeoutMs } = plan;
  const stored = [...(await staleValues(pool, plan)), base.startedAt, most, expiring];
  return cancellable(pool, { timeoutMs, signal: lost }, async (db) => {
    // The hash tables of a million users need this memory; with less, Postgres would write them to files.
    await query(db, { text: `set local work_mem = '64MB'` });
    const leastWeight = expiring === null ? await findLeastWeight(db, stored, most, timeoutMs) : null;
    const few = leastWeight === null ? null : await writeRanked(db, plan, [...stored, leastWeight]);
    const chosen = few && few.users > 0 ? few : await writeRanked(db, plan, [...stored, null]);
    // The fence is checked last, since the insert takes a while, and the lease is renewed in the meantime.
    if (!(await lockStep(db, claimed))) throw new FenceLost();
    return chosen;
  }).catch((error: unknown) => {
    if (error instanceof FenceLost) return null;
    throw error;
  });
}

/**
 * Writes the ranked users as chunks. Writes none if a least weight leaves fewer users than the budget covers.
 * @param values $1 to $9 of `RANKED`
 */
async function writeRanked(db: Db, plan: Plan, values: readonly unknown[]): Promise<Chosen> {
  const { run, claimed, chunkSize, timeoutMs } = plan;
  const isShare = run.budget !== null && 'share' in run.budget;
  const chunks = await query<{ users: number }>(db, {
    text: `${RANKED}
      insert into tandem.chunks (run_id, no, user_ids)
      select $10, (n - 1) / $11::int, array_agg(user_id) from (
        select user_id, row_number() over (order by ${isShare ? '' : '(n - 1) / $11::int, '}user_id) as n from ranked
        where $9::float8 is null or (select count(*) from ranked) >= $7
      ) numbered group by 2 order by 2 returning cardinality(user_ids) as users`,
    values: [...values, claimed.runId, chunkSize],
    timeoutMs,
  });
  return { users: chunks.reduce((sum, { users }) => sum + users, 0), chunks: chunks.length };
}

/** Thrown to roll back a transaction. */
class FenceLost extends Error {}

/**
 * The number of changed users in one comparison with the chosen users. Each comparison reads all chosen users, so it
 * covers many at once, in 10 MB.
 */
const COMPARED_USERS = 100_000;

/**
 * Adds changed users in the order of ids, up to the number that the budget covers. Returns the new number, or null if
 * the fence is lost.
 * @param db the transaction of the scan, on the login of feature statements
 */
async function chooseChanged(
  pool: pg.Pool,
  db: pg.PoolClient,
  plan: Plan,
  chosen: Chosen,
  most: number,
): Promise<number | null> {
  const { claimed, chunkSize, timeoutMs } = plan;
  await query(db, {
    text: `declare changed_users no scroll cursor for ${staleSql(plan)}`,
    values: await staleValues(pool, plan),
  });
  let { users, chunks } = chosen;
  while (users < most) {
    const text = `fetch ${COMPARED_USERS} from changed_users`;
    const rows = await query<{ user_id: string }>(db, { text, timeoutMs });
    if (rows.length === 0) break;
    const others = await query<{ userId: string }>(pool, {
      text: `select user_id as "userId" from unnest($1::text[]) as u(user_id)
        except select unnest(user_ids) from tandem.chunks where run_id = $2 limit $3`,
      values: [textArray(rows.map((row) => row.user_id)), claimed.runId, most - users],
      timeoutMs,
    });
    const userIds = others.map(({ userId }) => userId);
    for (const some of partsOf(userIds, chunkSize)) {
      if (!(await writeNamed(pool, claimed, chunks++, some))) return null;
    }
    users += userIds.length;
  }
  await query(db, { text: 'close changed_users' });
  return users;
}

// Estimates which users a run with a budget need not read, since enough other users are read more often.

/** The number of outdated users in a sample, for an error of about 5 %. */
const SAMPLED_USERS = 500;
/** The largest sample. A larger one would cost more than it saves. */
const MOST_SAMPLED = 1 / 20;
/** The factor of additional users, since a sample is inexact. */
const SPARE = 1.25;

/**
 * Returns the weight of reads above which there are enough outdated users for the budget, estimated from a sample of
 * the counts. Fewer users are then joined and sorted: 130,000 of 880,000 for a budget of 100,000. Returns null if too
 * few users are outdated, or if the budget is too small for a sample.
 * @param stored `staleValues` and when the base was begun: $1 to $6
 * @param most the number of users that the budget covers
 */
export async function findLeastWeight(
  db: Db,
  stored: readonly unknown[],
  most: number,
  timeoutMs: number,
): Promise<number | null> {
  const share = SAMPLED_USERS / most;
  if (share > MOST_SAMPLED) return null;
  const rows = await query<{ weight: number }>(db, {
    text: `select d.log_weight as weight from tandem.read_demand d tablesample bernoulli ($7::float4)
      cross join lateral (select ${outdatedSql('null')} and ${CHANGED_SINCE} and c.user_id = d.user_id offset 0) outdated
      order by d.log_weight desc offset $8 limit 1`,
    values: [...stored.slice(0, 6), 100 * share, Math.ceil(SPARE * SAMPLED_USERS) - 1],
    timeoutMs,
  });
  return rows[0]?.weight ?? null;
}
