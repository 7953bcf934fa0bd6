/**
 * Reads rows of tandem.runs as runs of the domain. Progress is the sum over the chunks, so that their commits share no
 * row.
 */
import { unknownRun } from '@tandem/freshness/errors';
import { isUuid } from '@tandem/freshness/user-id';
import { USUAL_CHUNK_MS } from '@tandem/prediction/runs/chunk-sizes';
import type { Run, RunFailure, RunState, UnfinishedRun } from '@tandem/prediction/runs/runs';
import pg from 'pg';
import { type Db, query } from '../sql/database.ts';
import { fetchFirst, fetchRows, statements } from '../sql/statements.ts';

const COLUMNS = `
  r.id, r.predictor, r.scope, r.model_version_id as "modelVersionId", v.number as "modelNumber",
    r.overlay_floor as "overlayFloor", r.source_version as "sourceVersion", r.history, r.schedule_slot as "scheduleSlot", r.state, r.reason, r.budget, r.error,
    r.step_attempts as attempts, r.step_error as "attemptError", r.users_expected - c.erased as "usersExpected", c.scored as "usersScored", c.failed as "usersFailed",
    r.chunk_count as "chunkCount", c.committed as "chunksCommitted", coalesce(r.chunk_ms, ${USUAL_CHUNK_MS}) as "chunkMs", g.id as "generationId", g.number as "generationNumber",
    r.created_at as "createdAt", r.started_at as "startedAt", r.finished_at as "finishedAt"`;

const FROM = `
  from tandem.runs r
  join tandem.model_versions v on v.id = r.model_version_id
  left join tandem.generations g on g.run_id = r.id
  cross join lateral (
    select coalesce(sum(scored), 0)::bigint as scored, coalesce(sum(failed), 0)::bigint as failed,
      coalesce(sum(erased), 0)::bigint as erased, count(*) filter (where state = 'committed') as committed
    from tandem.chunks where run_id = r.id) c`;

const SELECT = `select ${COLUMNS} ${FROM}`;

/**
 * SQL for whether the next step of the run `r` can be claimed. If the same step of another run of the predictor is
 * claimed, that run comes first, even if its worker died: it then gets hints itself. The index runs_one_step defines
 * which steps exclude each other.
 */
const IS_STEP_FREE = `
  (r.step_lease_until is null or ${leaseOver('r.step_lease_until')}) and not exists (
    select from tandem.runs o where o.predictor = r.predictor and o.id <> r.id and o.state = r.state
      and o.step = case r.state when 'planned' then 'plan' else 'publish' end
      and (r.scope = 'all' or r.scope = 'stale' and r.state = 'planned')
      and (o.scope = 'all' or o.scope = 'stale' and o.step = 'plan'))`;

/**
 * Returns the column assignments that release a run's step.
 * @param freeFrom SQL for the time at which the step can be claimed; default: immediately
 */
export function freeStep(freeFrom = 'null'): string {
  return `step = null, step_lost_leases = 0, step_lease_until = ${freeFrom}`;
}

export async function findRun(db: Db, id: string): Promise<Run | undefined> {
  if (!isUuid(id)) return undefined;
  return (await query<Run>(db, { text: `${SELECT} where r.id = $1`, values: [id] }))[0];
}

/** Returns a run. Rejects with `unknown_run`. */
export async function requireRun(db: Db, id: string): Promise<Run> {
  const run = await findRun(db, id);
  if (run) return run;
  throw unknownRun(id);
}

/**
 * Locks a run's chunks, in order, until the transaction ends. Chunks are locked before their run: a commit holds the
 * lock of its chunk when it locks the run, so each transaction that needs both locks them in this order.
 */
export async function lockChunks(db: Db, runId: string): Promise<void> {
  if (!isUuid(runId)) return;
  await fetchRows(db, statements.selectFrom('tandem.chunks').where('run_id', '=', runId).orderBy('no').forUpdate());
}

/**
 * Returns a run like `requireRun`, with its row locked until the transaction ends. Call it after `lockChunks` if chunks
 * are changed.
 */
export async function lockRun(db: Db, id: string): Promise<Run> {
  if (isUuid(id)) await fetchRows(db, statements.selectFrom('tandem.runs').where('id', '=', id).forUpdate());
  return requireRun(db, id);
}

/** Returns runs, newest first; `before` is the id of the last run on the previous page. */
export async function listRuns(
  db: Db,
  { predictor, limit, before }: { predictor?: string; limit: number; before?: string },
): Promise<readonly Run[]> {
  if (before !== undefined) await requireRun(db, before);
  return query<Run>(db, {
    text: `${SELECT} left join tandem.runs b on b.id = $3
      where ($1::text is null or r.predictor = $1)
        and ($3::uuid is null or r.created_at < b.created_at or (r.created_at = b.created_at and r.id > b.id))
      order by r.created_at desc, r.id limit $2`,
    values: [predictor ?? null, limit, before ?? null],
  });
}

/**
 * Lists the unfinished runs of one predictor or of all, the oldest first.
 * @param predictor the predictor; absent: all predictors
 */
export async function listUnfinished(db: Db, predictor?: string): Promise<readonly UnfinishedRun[]> {
  return query<UnfinishedRun>(db, {
    text: `select ${COLUMNS}, ${IS_STEP_FREE} as "isStepFree" ${FROM}
      where r.state in ('planned', 'running', 'publishing') and ($1::text is null or r.predictor = $1)
      order by r.created_at`,
    values: [predictor ?? null],
  });
}

/** Returns an unfinished run of a model version with one of these scopes, other than the run `except`. */
export async function findUnfinished(
  db: Db,
  { predictor, modelVersionId }: Pick<Run, 'predictor' | 'modelVersionId'>,
  scopes: readonly ('all' | 'stale')[],
  except: string | null = null,
): Promise<string | undefined> {
  const unfinished = statements
    .selectFrom('tandem.runs')
    .select('id')
    .where(({ and }) => and({ predictor, model_version_id: modelVersionId }))
    .where('scope', 'in', scopes)
    .where('state', 'in', ['planned', 'running', 'publishing'])
    .where('id', 'is distinct from', except)
    .limit(1);
  return (await fetchFirst(db, unfinished))?.id;
}

/**
 * Returns whether a statement was rejected because another unfinished run scores all users with the same model version.
 */
export function isSecondAll(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '23505' && error.constraint === 'runs_one_all';
}

export async function listFailures(db: Db, runId: string, limit: number): Promise<readonly RunFailure[]> {
  const failures = statements.selectFrom('tandem.run_failures').select(['user_id as userId', 'reason']);
  return fetchRows(db, failures.where('run_id', '=', runId).orderBy('user_id').limit(limit));
}

/** Sets a run's state, and ends a claimed step. A finished run gets its time and its sums. */
export async function setRunState(db: Db, runId: string, state: RunState, error: string | null): Promise<void> {
  await query(db, {
    text: `update tandem.runs r set state = $2, error = $3,
        finished_at = case when $2 in ('done', 'done_with_errors', 'failed', 'cancelled') then clock_timestamp() end,
        users_scored = c.scored, users_failed = c.failed, ${freeStep()},
        step_attempts = case when $2 in ('done', 'done_with_errors', 'failed', 'cancelled') then step_attempts else 0 end,
        step_error = case when $2 in ('failed', 'cancelled') then step_error end
      from (select coalesce(sum(scored), 0) as scored, coalesce(sum(failed), 0) as failed from tandem.chunks where run_id = $1) c
      where r.id = $1`,
    values: [runId, state, error],
  });
}

// Chunks and steps have leases on Postgres' clock.

/**
 * Returns SQL for whether the lease in a column is over. A lease that ends later than any new lease was taken before
 * the clock was set back; a live worker would have renewed it long ago. The longest lease is ten minutes
 * (CHUNK_LEASE_MS), and one minute more tolerates a clock that was set back slightly.
 */
export function leaseOver(column: string): string {
  return `${column} not between clock_timestamp() and clock_timestamp() + interval '11 minutes'`;
}

/**
 * The maximum number of consecutive claims of a chunk or step whose lease expires, so that work that kills its workers
 * is not repeated forever.
 */
export const MAX_CLAIMS = 12;
