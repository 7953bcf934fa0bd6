/**
 * Chooses the users of a run with a budget: those whose stored prediction an event has outdated, the most read first; then the
 * others who were read most; then users who changed and have no prediction yet. The others stay on the generation of everyone
 * that is in force, the base of what the run makes. Expiry is not looked at: an expired prediction counts as one that is current.
 *
 * One statement inside Postgres cuts the first two into chunks, under numbers below 0. Each of them is then replaced by a
 * chunk of those of its users whom the feature query returns, so that memory stays flat. Everything is written under the fence
 * of the step.
 */
import { TandemError } from '@tandem/freshness/errors';
import { usersWithin } from '@tandem/prediction/demand/estimate-budget';
import type { Run } from '@tandem/prediction/runs/runs';
import type pg from 'pg';
import { textArray } from '../certificate/certificate-statement.ts';
import { cancellable } from '../features/cancellable.ts';
import { asRelation, KEY_SQL } from '../features/feature-statement.ts';
import { type Db, query, transaction } from '../sql/database.ts';
import { findCpuPerUser } from './budget-facts.ts';
import type { Plan } from './plan.ts';
import { lockStep } from './run-steps.ts';
import { deleteEarlier, outdatedSql, staleSql, staleValues } from './stale-users.ts';

/** The generation of everyone below what a run makes. */
export interface BaseGeneration {
  readonly id: string;
  readonly number: number;
  readonly users: number;
  /** Of the generation above it that is in force, whose rows may be carried over; 0 where there is none. */
  readonly usersAbove: number;
}

export interface AffordedUsers {
  readonly base: BaseGeneration;
  /** Users that the budget pays for. */
  readonly most: number;
}

/**
 * A row of a budgeted generation may be as old as its base, and Redis counts 49 days: an older base is a reason to score
 * everyone.
 */
const BASE_DAYS = 40;
/** Of the base's users. Each run takes along those above it: past this share a run of everyone costs little more. */
const MOST_ABOVE = 0.5;

/**
 * Returns how many users the budget of a run pays for; null for a run without a budget, and `why` if it scores everyone
 * despite its budget. Rejects with `invalid_input` if no run has recorded yet what a user costs.
 */
export async function findAffordedUsers(db: Db, run: Run): Promise<AffordedUsers | { readonly why: string } | null> {
  const { budget } = run;
  if (budget === null || run.scope !== 'all') return null;
  const base = await findBase(db, run);
  const why = whyNoBase(base);
  if (!base || why !== null) return { why: `everyone was scored despite the budget: ${why}` };
  const cpuMsPerUser = 'share' in budget ? null : await findCpuPerUser(db, run.predictor);
  const most = usersWithin(budget, { users: base.users, cpuMsPerUser, msPerUser: 0 });
  if (most !== null) return { base, most };
  throw new TandemError('invalid_input', `No run of ${run.predictor} has told its CPU time yet.`, {
    field: 'budget',
    remedy: 'let one run end, of everyone or with a budget of {"share": …}; then budgets in CPU minutes can be kept',
  });
}

interface PossibleBase extends BaseGeneration {
  readonly isOld: boolean;
  /** Whether a watched source was changed in bulk since its run: all its rows are stale. */
  readonly isOutdated: boolean;
}

async function findBase(db: Db, { predictor, modelVersionId, sourceVersion }: Run): Promise<PossibleBase | undefined> {
  const rows = await query<PossibleBase>(db, {
    text: `select b.id, b.number, b.users, case when g.base_id is null then 0 else g.users end as "usersAbove",
        b.started_at <= clock_timestamp() - interval '${BASE_DAYS} days' as "isOld", r.source_version < $3 as "isOutdated"
      from tandem.arms a join tandem.generations g on g.id = a.generation_id
      join tandem.generations b on b.id = coalesce(g.base_id, g.id) join tandem.runs r on r.id = b.run_id
      where a.predictor = $1 and a.model_version_id = $2 and b.state = 'published'`,
    values: [predictor, modelVersionId, sourceVersion],
  });
  return rows[0];
}

function whyNoBase(base: PossibleBase | undefined): string | null {
  if (!base) return 'no generation is in force';
  const { number, users, usersAbove, isOld, isOutdated } = base;
  if (isOld) return `generation ${number}, the last of everyone, is older than ${BASE_DAYS} days`;
  if (isOutdated) return `a watched source was changed in bulk after generation ${number}, the last of everyone`;
  if (usersAbove <= users * MOST_ABOVE) return null;
  return `more than ${MOST_ABOVE * 100} % of the users have a row above generation ${number}, the last of everyone`;
}

/**
 * Writes the outdated users and those who were read, in their order, under numbers below 0. False where the fence is lost. The
 * order of the insert is that of the numbers, so that two planners of one run never wait crosswise.
 *
 * Outdated are those with a stored prediction: an event may be of a user whom other predictors alone know. All users of a share
 * are scored, so its chunks are cut in the order of ids as text: those of a chunk lie together, and reading 5,500 of a million takes 57 ms
 * instead of 216. Those of CPU minutes keep the order of worth, since the last may be dropped.
 */
export async function writeCandidates(pool: pg.Pool, plan: Plan, most: number, lost: AbortSignal): Promise<boolean> {
  const { run, claimed, chunkSize, timeoutMs } = plan;
  if (!(await deleteEarlier(pool, claimed))) return false;
  const stored = await staleValues(pool, plan);
  return cancellable(pool, { timeoutMs, signal: lost }, async (db) => {
    // All users are joined and sorted: less memory would send them through files.
    await query(db, { text: `set local work_mem = '64MB'` });
    await query(db, {
      text: `insert into tandem.chunks (run_id, no, user_ids)
        select $6, -1 - (n - 1) / $7::int, array_agg(user_id) from (
          select user_id, row_number() over (order by (n - 1) / $9::int, user_id) as n from (
            select user_id, row_number() over (order by o.user_id is null, d.log_weight desc nulls last, user_id) as n
            from tandem.read_demand d full join (${outdatedSql('null')}) o using (user_id)
            where not exists (select from tandem.user_contexts c where c.user_id = coalesce(d.user_id, o.user_id)
              and c.deleted_version > 0 and c.version = c.deleted_version)
            order by o.user_id is null, d.log_weight desc nulls last, user_id limit $8
          ) chosen
        ) ordered group by 2 order by 2 desc`,
      values: [...stored, claimed.runId, chunkSize, most, run.budget && 'share' in run.budget ? most : chunkSize],
      timeoutMs,
    });
    // Last, since that takes a while, and the lease is renewed meanwhile.
    if (!(await lockStep(db, claimed))) throw new FenceLost();
    return true;
  }).catch((error: unknown) => {
    if (error instanceof FenceLost) return false;
    throw error;
  });
}

/** Ends a transaction without a trace. */
class FenceLost extends Error {}

/**
 * Returns how many users were chosen, or null where the fence is lost.
 * @param db the transaction of the scan, on the login of feature statements
 */
export async function chooseUsers(pool: pg.Pool, db: pg.PoolClient, plan: Plan, most: number): Promise<number | null> {
  const candidates = await query<{ no: number }>(pool, {
    text: 'select no from tandem.chunks where run_id = $1 and no < 0 order by no desc',
    values: [plan.claimed.runId],
  });
  const chosen = { users: 0, chunks: 0 };
  for (const { no } of candidates) {
    if (!(await writeChosen(pool, plan, chosen, no, await findPresent(pool, db, plan, no)))) return null;
  }
  return chosen.users < most && !(await chooseChanged(pool, db, plan, chosen, most)) ? null : chosen.users;
}

/** Returns the users of a chunk whom the feature query returns. */
async function findPresent(pool: pg.Pool, db: pg.PoolClient, { claimed, version, timeoutMs }: Plan, no: number) {
  const [named] = await query<{ userIds: readonly string[] }>(pool, {
    text: 'select user_ids as "userIds" from tandem.chunks where run_id = $1 and no = $2',
    values: [claimed.runId, no],
  });
  const rows = await query<{ userId: string }>(db, {
    text: `select f.user_id::text as "userId" from ${asRelation(version.query.sql)}
      where f.user_id = any($1::${KEY_SQL[version.keyType]}[]) group by f.user_id`,
    values: [textArray(named?.userIds ?? [])],
    timeoutMs,
  });
  return rows.map(({ userId }) => userId);
}

/** Users so far, and the number of the next chunk. */
interface Chosen {
  users: number;
  chunks: number;
}

/** Writes a chunk of these users, in place of one of candidates where that is said. False where the fence is lost. */
function writeChosen(
  pool: pg.Pool,
  { claimed }: Plan,
  chosen: Chosen,
  instead: number | null,
  userIds: readonly string[],
): Promise<boolean> {
  return transaction(pool, async (db) => {
    if (!(await lockStep(db, claimed))) return false;
    const { runId } = claimed;
    await query(db, { text: 'delete from tandem.chunks where run_id = $1 and no = $2', values: [runId, instead] });
    if (userIds.length === 0) return true;
    await query(db, {
      text: 'insert into tandem.chunks (run_id, no, user_ids) values ($1, $2, $3::text[])',
      values: [runId, chosen.chunks, textArray(userIds)],
    });
    chosen.users += userIds.length;
    chosen.chunks++;
    return true;
  });
}

/** Each comparison with the users chosen so far reads all of those, so it is made of many: they take 10 MB. */
const COMPARED_USERS = 100_000;

/**
 * Adds users who changed, in the order of ids, until there are as many as the budget pays for. Candidates whom the feature query
 * does not return leave room: outdated users who did not fit among the candidates take it, then users without a prediction.
 */
async function chooseChanged(
  pool: pg.Pool,
  db: pg.PoolClient,
  plan: Plan,
  chosen: Chosen,
  most: number,
): Promise<boolean> {
  const { claimed, chunkSize, timeoutMs } = plan;
  await query(db, {
    text: `declare changed_users no scroll cursor for ${staleSql(plan)}`,
    values: await staleValues(pool, plan),
  });
  while (chosen.users < most) {
    const text = `fetch ${COMPARED_USERS} from changed_users`;
    const rows = await query<{ user_id: string }>(db, { text, timeoutMs });
    if (rows.length === 0) break;
    const others = await query<{ userId: string }>(pool, {
      text: `select user_id as "userId" from unnest($1::text[]) as u(user_id)
        except select unnest(user_ids) from tandem.chunks where run_id = $2 limit $3`,
      values: [textArray(rows.map((row) => row.user_id)), claimed.runId, most - chosen.users],
      timeoutMs,
    });
    const userIds = others.map(({ userId }) => userId);
    for (let at = 0; at < userIds.length; at += chunkSize) {
      if (!(await writeChosen(pool, plan, chosen, null, userIds.slice(at, at + chunkSize)))) return false;
    }
  }
  await query(db, { text: 'close changed_users' });
  return true;
}
