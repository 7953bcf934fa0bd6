/** Claims and releases the steps of a run, planning and publishing, by fence and lease. */
import type { ClaimedStep, DeadStep, RunStep } from '@tandem/prediction/runs/runs';
import pg from 'pg';
import { type Db, query, transaction } from '../sql/database.ts';
import { KNOWS_PROTOCOL, knowsProtocol } from '../sql/protocol.ts';
import { changeRows, fetchFirst, fromNow, statements } from '../sql/statements.ts';
import { startPublishing } from './chunks.ts';
import { freeStep, leaseOver, MAX_CLAIMS, setRunState } from './run-rows.ts';

/** The state of a run that needs the step. */
const STATES = { plan: 'planned', publish: 'publishing' } as const satisfies Record<RunStep, string>;
const FAILURES = { plan: 'cannot be planned', publish: 'cannot be published' } as const satisfies Record<
  RunStep,
  string
>;

/**
 * Claims a step; returns null if there is none to claim. A step that `maxClaims` workers in a row claimed and never
 * released fails its run instead.
 */
export async function claimStep(
  pool: pg.Pool,
  runId: string,
  step: RunStep,
  leaseMs: number,
  maxClaims: number = MAX_CLAIMS,
): Promise<ClaimedStep | DeadStep | null> {
  // A run with only finished chunks may not be marked for publication yet.
  if (step === 'publish') await startPublishing(pool, runId);
  const rows = await query<Omit<ClaimedStep, 'runId' | 'step'>>(pool, {
    text: `update tandem.runs set step_fence = step_fence + 1, step_attempts = step_attempts + 1, step = $2,
        step_lost_leases = step_lost_leases + case when step is null then 0 else 1 end,
        step_lease_until = clock_timestamp() + $4 * interval '1 ms'
      where id = $1 and state = $3 and ${KNOWS_PROTOCOL} and (step_lease_until is null or ${leaseOver('step_lease_until')})
        and (step is null or step_lost_leases + 1 < $5)
      returning predictor, step_fence as fence, step_attempts as attempts, step_lost_leases > 0 as "takenOver",
        tandem.current_history() as history`,
    values: [runId, step, STATES[step], leaseMs, maxClaims],
  }).catch((error: unknown) => {
    if (isSecondStep(error)) return null;
    throw error;
  });
  if (rows === null) return null;
  const [row] = rows;
  return row ? { runId, step, ...row } : failDeadly(pool, runId, step, maxClaims);
}

/** Returns whether a claim failed because another run of the predictor holds the same step. */
function isSecondStep(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '23505' && error.constraint === 'runs_one_step';
}

/**
 * Fails a run if `maxClaims` workers in a row have died on its step. Returns the failed step; null if fewer have died.
 */
function failDeadly(pool: pg.Pool, runId: string, step: RunStep, maxClaims: number): Promise<DeadStep | null> {
  return transaction(pool, async (db) => {
    const [run] = await query<Omit<DeadStep, 'failed' | 'takenOver'> & { error: string | null }>(db, {
      text: `select predictor, step_fence as fence, step_attempts as attempts, step_error as error
        from tandem.runs where id = $1 and state = $2 and step = $3
        and ${leaseOver('step_lease_until')} and step_lost_leases + 1 >= $4 and ${KNOWS_PROTOCOL} for update`,
      values: [runId, STATES[step], step, maxClaims],
    });
    if (!run) return null;
    const { error, ...claim } = run;
    const before = error ? `; before that: ${error}` : '';
    const failed = `${FAILURES[step]}: its worker died ${maxClaims} times in a row${before}`;
    await setRunState(db, runId, 'failed', failed);
    return { ...claim, takenOver: true, failed };
  });
}

/** Extends the lease. Returns false if the fence is lost, the run has ended, or the schema's protocol is unknown. */
export async function renewStep(pool: pg.Pool, { runId, step, fence }: ClaimedStep, leaseMs: number): Promise<boolean> {
  const claimed = statements
    .updateTable('tandem.runs')
    .set({ step_lease_until: fromNow(leaseMs) })
    .where(({ and }) => and({ id: runId, step, step_fence: fence, state: STATES[step] }))
    .where(knowsProtocol);
  return (await changeRows(pool, claimed)) > 0;
}

/**
 * Locks the run's row until the transaction ends. Returns false if the fence is lost or the schema's protocol is
 * unknown.
 */
export async function lockStep(db: Db, { runId, step, fence }: ClaimedStep): Promise<boolean> {
  const claimed = statements
    .selectFrom('tandem.runs')
    .where(({ and }) => and({ id: runId, step, step_fence: fence, state: STATES[step] }))
    .where(knowsProtocol);
  return (await fetchFirst(db, claimed.forUpdate())) !== undefined;
}

/** Releases a step as if it had not been claimed. Does nothing if the fence is lost. */
export async function releaseStep(pool: pg.Pool, { runId, step, fence }: ClaimedStep): Promise<void> {
  await query(pool, {
    text: `update tandem.runs set ${freeStep()}, step_attempts = step_attempts - 1
      where id = $1 and step = $2 and step_fence = $3 and state = $4 and ${KNOWS_PROTOCOL}`,
    values: [runId, step, fence, STATES[step]],
  });
}

const BACKOFF_END = `clock_timestamp() + least(30, 2 ^ (step_attempts - 1)) * interval '1 s'`;

/**
 * Returns a step after an error. It can be claimed again after 1 s, 2 s, 4 s, … 30 s. After `maxAttempts` the run fails
 * instead.
 */
export async function giveBackStep(
  pool: pg.Pool,
  claimed: ClaimedStep,
  error: string,
  maxAttempts: number,
): Promise<'waiting' | 'failed' | 'fence_lost'> {
  return transaction(pool, async (db) => {
    if (!(await lockStep(db, claimed))) return 'fence_lost';
    const { runId, step, attempts } = claimed;
    await query(db, {
      text: `update tandem.runs set ${freeStep(BACKOFF_END)}, step_error = $2 where id = $1`,
      values: [runId, error.slice(0, 2_000)],
    });
    if (attempts < maxAttempts) return 'waiting';
    const times = attempts > 1 ? ` after ${attempts} attempts` : '';
    await setRunState(db, runId, 'failed', `${FAILURES[step]}${times}: ${error.slice(0, 1_000)}`);
    return 'failed';
  });
}
