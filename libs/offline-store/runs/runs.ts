/** Requests, cancels and resumes runs. */

import { requestFeaturesRequired, TandemError, unknownPredictor } from '@tandem/freshness/errors';
import { assertProtocol } from '@tandem/freshness/protocol';
import { namesWithoutDefault } from '@tandem/freshness/request-features';
import { STABLE } from '@tandem/freshness/rollout';
import { checkUserId, type KeyType } from '@tandem/freshness/user-id';
import type { NewRun } from '@tandem/prediction/runs/run-store';
import { isFinished, NO_ROWS, type Run, type RunScope } from '@tandem/prediction/runs/runs';
import { RELEASE } from '@tandem/telemetry/release';
import type pg from 'pg';
import { type Arm, findArm } from '../arms/arms.ts';
import { sentence } from '../events/refusal.ts';
import { findModelVersion } from '../models/registry.ts';
import { listProcesses } from '../processes/processes.ts';
import { type Db, query, transaction } from '../sql/database.ts';
import { checkProtocol } from '../sql/protocol.ts';
import { changeRows, currentHistory, fetchFirst, statements } from '../sql/statements.ts';
import { findUnfinished, isSecondAll, lockChunks, lockRun, requireRun, setRunState } from './run-rows.ts';
import { OVER_BUDGET } from './spent-budget.ts';

export async function createRun(pool: pg.Pool, run: NewRun): Promise<{ run: Run; created: boolean }> {
  try {
    return await insertRun(pool, run);
  } catch (error) {
    if (!isSecondAll(error)) throw error;
    // A concurrent stale run has become a run of all users.
    throw secondAll('another run', run.predictor, error);
  }
}

function insertRun(pool: pg.Pool, run: NewRun): Promise<{ run: Run; created: boolean }> {
  return transaction(pool, async (db) => {
    const { keyType } = await lockPredictor(db, run.predictor);
    const userIds = run.scope.kind === 'users' ? distinctUsers(run.scope, keyType) : null;
    const { budget = null, isOfChanged = false, note = null } = run;
    if (budget !== null && run.scope.kind !== 'all') throw budgetOfSome();
    if (budget !== null) await refuseOtherReleases(db);
    const arm = await requireArm(db, run);
    await refuseIncomplete(db, arm);
    const known = await takeSlot(db, run, arm);
    if (known !== undefined) return { run: await requireRun(db, known), created: false };
    const ofVersion = { predictor: run.predictor, modelVersionId: arm.modelVersionId };
    if (isOfChanged) await refuseUnfinished(db, ofVersion, ['all', 'stale']);
    else if (run.scope.kind === 'all') await refuseUnfinished(db, ofVersion, ['all']);
    const row = {
      predictor: run.predictor,
      scope: run.scope.kind,
      user_ids: userIds,
      reason: run.reason,
      schedule_slot: run.scheduleSlot,
      budget: budget && JSON.stringify(budget),
      of_changed: isOfChanged,
      note,
      history: currentHistory(),
      model_version_id: arm.modelVersionId,
      overlay_floor: arm.overlayFloor,
    };
    const inserted = await fetchFirst(db, statements.insertInto('tandem.runs').values(row).returning('id'));
    return { run: await requireRun(db, inserted?.id ?? ''), created: true };
  });
}

async function requireArm(db: Db, { predictor, variant }: NewRun): Promise<Arm> {
  const arm = await findArm(db, predictor, variant);
  if (arm) return arm;
  throw new TandemError('invalid_input', `${predictor} has no arm ${JSON.stringify(variant)}.`, {
    field: 'variant',
    remedy: 'leave it out for the stable arm, or use an arm of the active rollout',
  });
}

/** Rejects an arm with request features without a default, since a run has no values for them. */
async function refuseIncomplete(db: Db, { modelVersionId }: Arm): Promise<void> {
  const version = await findModelVersion(db, modelVersionId);
  const names = namesWithoutDefault(version);
  if (names.length > 0) throw requestFeaturesRequired(version.predictor, names);
}

/**
 * Locks the predictor's row, which serialises concurrent requests of its runs. Throws `protocol_unknown` like a
 * certificate.
 */
async function lockPredictor(db: Db, name: string): Promise<{ keyType: KeyType }> {
  const predictor = statements
    .selectFrom(['tandem.predictors as p', 'tandem.settings as s'])
    .select(['s.key_type as keyType', 's.protocol'])
    .where(({ and }) => and({ 'p.name': name, 'p.active': true }))
    .$narrowType<{ keyType: KeyType }>();
  const found = await fetchFirst(db, predictor.forNoKeyUpdate('p'));
  if (!found) throw unknownPredictor(name);
  assertProtocol(found.protocol);
  return found;
}

function distinctUsers({ userIds }: Extract<RunScope, { kind: 'users' }>, keyType: KeyType): string[] {
  if (userIds.length === 0) {
    throw new TandemError('invalid_input', 'The run has the scope of named users, but names no user.', {
      field: 'scope.userIds',
      remedy: 'add user ids, or request the scope "all" or "stale"',
    });
  }
  userIds.forEach((userId, i) => {
    const check = checkUserId(keyType, userId);
    if (check.ok) return;
    throw new TandemError('invalid_input', sentence(check.problem), {
      field: `scope.userIds[${i}]`,
      remedy:
        check.canonical === undefined
          ? 'correct the id, or give the user another id in its source'
          : `send ${JSON.stringify(check.canonical)}`,
    });
  });
  return [...new Set(userIds)];
}

function budgetOfSome(): TandemError {
  return new TandemError('invalid_input', 'A run that does not score all users cannot have a budget.', {
    field: 'budget',
    remedy: 'leave the budget out, or request the scope "all"',
  });
}

/**
 * Rejects a budget while an earlier release is running. Earlier releases do not know bases: they would infer live for
 * each user without a row above the base. All releases with an embedded reader know bases.
 */
async function refuseOtherReleases(db: Db): Promise<void> {
  const other = (await listProcesses(db)).find(({ kind, release }) => kind !== 'embedded' && release !== RELEASE);
  if (!other) return;
  const { kind, host, pid, release } = other;
  throw new TandemError(
    'run_conflict',
    `A process of another release is running (${kind} ${release}, process ${pid} on ${host}), and may not know runs with a budget.`,
    { field: 'budget', remedy: 'start it on this release, or run without a budget' },
  );
}

/**
 * Records that the slot has a run, and returns the run that was created for it before. If both schedules have a slot at
 * the same time, one run is created: a run of all users includes changed users.
 */
async function takeSlot(db: Db, run: NewRun, arm: Arm): Promise<string | undefined> {
  if (run.scheduleSlot === null) return undefined;
  if (arm.name === STABLE) await keepSlot(db, run, run.scheduleSlot);
  return findSlot(db, run.predictor, arm.modelVersionId, run.scheduleSlot);
}

async function findSlot(db: Db, predictor: string, modelVersionId: string, slot: Date): Promise<string | undefined> {
  const run = statements
    .selectFrom('tandem.runs')
    .select('id')
    .where(({ and }) => and({ predictor, model_version_id: modelVersionId, schedule_slot: slot }));
  return (await fetchFirst(db, run))?.id;
}

/** Records the slot separately, since runs expire but the slot must not be run again. */
async function keepSlot(db: Db, { predictor, isOfChanged = false }: NewRun, slot: Date): Promise<void> {
  const table = isOfChanged ? 'tandem.changed_slots' : 'tandem.schedule_slots';
  const slots = statements.insertInto(table).values({ predictor, last_slot: slot });
  const later = slots.onConflict((row) =>
    row.column('predictor').doUpdateSet((eb) => ({
      last_slot: eb.fn<Date>('greatest', [`${table}.last_slot`, 'excluded.last_slot']),
    })),
  );
  await changeRows(db, later);
}

/**
 * Rejects if another run of the model version with one of these scopes is unfinished. With an hourly schedule, a run of
 * two hours must not be started twice.
 */
async function refuseUnfinished(
  db: Db,
  run: Pick<Run, 'predictor' | 'modelVersionId'>,
  scopes: readonly ('all' | 'stale')[],
  except: string | null = null,
): Promise<void> {
  const other = await findUnfinished(db, run, scopes, except);
  if (other !== undefined) throw secondAll(`run ${other}`, run.predictor);
}

function secondAll(other: string, predictor: string, cause?: unknown): TandemError {
  return new TandemError('run_conflict', `All users of ${predictor} are already being scored by ${other}.`, {
    field: 'scope',
    remedy: 'wait for that run, or cancel it',
    cause,
  });
}

/**
 * Cancels a run. Waiting chunks are dropped. Current chunks and steps detect the end of the run when they renew their
 * lease or write.
 */
export async function cancelRun(pool: pg.Pool, runId: string): Promise<Run> {
  return transaction(pool, async (db) => {
    const run = await lockRun(db, runId);
    await checkProtocol(db);
    if (isFinished(run.state)) throw alreadyFinished(run);
    // Locked chunks are skipped: a commit locks its chunk before the run, and a cancellation must not wait for it.
    const waiting = statements
      .selectFrom('tandem.chunks')
      .select('no')
      .where(({ and }) => and({ run_id: runId, state: 'waiting' }))
      .orderBy('no')
      .forUpdate()
      .skipLocked();
    const chunks = statements.updateTable('tandem.chunks').set({ state: 'cancelled' }).where('run_id', '=', runId);
    await changeRows(db, chunks.where('no', 'in', waiting));
    await setRunState(db, runId, 'cancelled', null);
    return requireRun(db, runId);
  });
}

/**
 * Resumes a run with its uncommitted chunks. A run without a plan is planned first. A chunk that was claimed when the
 * run ended waits again, so that the resumption does not wait for its lease. Its claimant can then write nothing: each
 * of its writes requires a claimed chunk of its fence, and the next claim raises the fence.
 */
export async function resumeRun(pool: pg.Pool, runId: string): Promise<Run> {
  return transaction(pool, async (db) => {
    const { predictor } = await requireRun(db, runId);
    // Locks are taken in the order of createRun, so that the two cannot deadlock.
    await lockPredictor(db, predictor);
    await lockChunks(db, runId);
    const run = await lockRun(db, runId);
    if (run.state !== 'cancelled' && run.state !== 'failed') {
      throw stateConflict(run, `it is ${run.state}`, 'only a cancelled or failed run can be resumed');
    }
    if (run.scope === 'all') await refuseUnfinished(db, run, ['all'], runId);
    await refuseDropped(db, run);
    const waiting = { state: 'waiting', attempts: 0, lost_leases: 0, error: null, lease_until: null } as const;
    const chunks = statements.updateTable('tandem.chunks').set(waiting).where('run_id', '=', runId);
    const open = chunks.where('state', 'in', ['cancelled', 'failed', 'claimed']);
    await changeRows(db, open.where('error', 'is distinct from', OVER_BUDGET));
    await setRunState(db, runId, run.startedAt === null ? 'planned' : 'running', null);
    return requireRun(db, runId);
  });
}

async function refuseDropped(db: Db, run: Run): Promise<void> {
  if (run.generationId === null) return refuseForgotten(db, run);
  const generation = statements.selectFrom('tandem.generations').select('state').where('id', '=', run.generationId);
  if ((await fetchFirst(db, generation))?.state === 'building') return;
  throw stateConflict(run, 'its generation was dropped', 'start another run');
}

/** Rejects with `run_conflict` if the names of users in the run's chunks were deleted (retention.ts). */
async function refuseForgotten(db: Db, run: Run): Promise<void> {
  const forgotten = await query(db, {
    text: `select no from tandem.chunks where run_id = $1 and state in ('cancelled', 'failed', 'claimed') and user_ids = '{}' limit 1`,
    values: [run.id],
  });
  if (forgotten.length === 0) return;
  throw stateConflict(run, 'the ids of its users were deleted a day after its end', 'start another run');
}

function alreadyFinished(run: Run): TandemError {
  const isResumable = run.state === 'cancelled' || (run.state === 'failed' && run.error !== NO_ROWS);
  const remedy = isResumable ? `resume it (tandem run resume ${run.id}), or start another run` : 'start another run';
  return stateConflict(run, `it is ${run.state}`, remedy);
}

function stateConflict(run: Run, why: string, remedy: string): TandemError {
  return new TandemError('run_conflict', `Run ${run.id} cannot be changed: ${why}.`, { field: 'runId', remedy });
}
