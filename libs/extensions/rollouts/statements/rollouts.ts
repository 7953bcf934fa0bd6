/**
 * Moves rollouts and their arms. Every change locks the assignments first, raises the revision (so that the next
 * certificate carries it to every process) and leaves an audit row, in one transaction. It applies to every read that
 * begins after the commit.
 */
import { TandemError } from '@tandem/freshness/errors';
import { CANDIDATE, isActive, type Rollout, type RolloutState } from '@tandem/freshness/rollout';
import { setEventFeatures } from '@tandem/offline-store/events/event-rules';
import { type AuditAction, insertAudit } from '@tandem/offline-store/sql/audit';
import { type Db, type Pool, transaction } from '@tandem/offline-store/sql/database';
import { lockAssignments } from '@tandem/offline-store/sql/settings';
import { changeRows, databaseNow, statements } from '@tandem/offline-store/sql/statements';
import type { RolloutChange, RolloutStore } from '../rules/rollout-store.ts';
import { listOverrides, overrideArm } from './arm-overrides.ts';
import { createRollout } from './create-rollout.ts';
import { giveUsers, makeStable, removeArms } from './rollout-arms.ts';
import { findRollout, listActive, listRollouts, refuseUnknownArm, requireRollout } from './rollout-rows.ts';

export function createRolloutStore(pool: Pool): RolloutStore {
  const changed = (id: string, action: AuditAction, change: RolloutChange, move: Move) =>
    changeRollout(pool, { id, action, change }, move);
  return {
    create: (rollout) => createRollout(pool, rollout),
    find: (id) => findRollout(pool, id),
    list: (page) => listRollouts(pool, page),
    active: () => listActive(pool),
    begin: (id, change) => changed(id, 'begin_rollout', change, begin),
    advance: (id, change, from) => changed(id, 'advance_rollout', change, (db, one) => advance(db, one, from)),
    promote: (id, arm, change) => changed(id, 'promote_rollout', change, (db, one) => promoteByHand(db, one, arm)),
    hold: (id, change) => changed(id, 'hold_rollout', change, (db, one) => turn(db, one, 'running', 'held')),
    resume: (id, change) => changed(id, 'resume_rollout', change, (db, one) => turn(db, one, 'held', 'running')),
    abort: (id, change) => changed(id, 'abort_rollout', change, (db, one) => finish(db, one, 'aborted')),
    end: (id, change) => changed(id, 'end_rollout', change, end),
    note: (id, reason) => note(pool, id, reason),
    override: (id, userId, arm, actor) => overrideArm(pool, { id, userId, arm, actor }),
    overrides: (id) => listOverrides(pool, id),
  };
}

/** Whether anything was moved. */
type Move = (db: Db, rollout: Rollout) => Promise<boolean>;

interface Change {
  readonly id: string;
  readonly action: AuditAction;
  readonly change: RolloutChange;
}

async function changeRollout(pool: Pool, { id, action, change }: Change, move: Move): Promise<Rollout> {
  const { actor, reason, figures } = change;
  return transaction(pool, async (db) => {
    await lockAssignments(db);
    const before = await requireRollout(db, id);
    if (!isActive(before.state)) throw conflict(before, `it is ${before.state}`, 'start another rollout');
    if (!(await move(db, before))) return before;
    await changeRows(db, rolloutOf(id).set({ reason }));
    const after = await requireRollout(db, id);
    const detail = { rollout: after.number, id, reason, figures, ...movedOf(before, after) };
    await insertAudit(db, { actor, action, predictor: after.predictor, detail });
    return after;
  });
}

function rolloutOf(id: string) {
  return statements.updateTable('tandem.rollouts').where('id', '=', id);
}

function movedOf(before: Rollout, after: Rollout) {
  const from = { state: before.state, step: before.step };
  return { from, to: { state: after.state, step: after.step, arms: after.arms.map(sharesOf) } };
}

function sharesOf({ name, modelNumber, firstBucket, endBucket }: Rollout['arms'][number]) {
  return { name, modelVersion: modelNumber, percent: (endBucket - firstBucket) / 100 };
}

async function note(db: Db, id: string, reason: string): Promise<void> {
  await changeRows(db, rolloutOf(id).set({ reason }).where('state', 'in', ['preparing', 'running', 'held']));
}

async function begin(db: Db, rollout: Rollout): Promise<boolean> {
  if (rollout.state !== 'preparing') return false;
  const { plan } = rollout;
  switch (plan.kind) {
    case 'canary':
      return goToStep(db, rollout, 0);
    case 'ab': {
      let firstBucket = 0;
      for (const { name, weight } of plan.arms) {
        const endBucket = firstBucket + Math.round(weight * 100);
        await giveUsers(db, rollout.id, { name, firstBucket, endBucket });
        firstBucket = endBucket;
      }
      return setStep(db, rollout, 0);
    }
    case 'shadow':
      return setStep(db, rollout, 0);
  }
}

async function advance(db: Db, rollout: Rollout, from: number | undefined): Promise<boolean> {
  if (from !== undefined && (rollout.step !== from || rollout.state !== 'running')) return false;
  if (rollout.kind !== 'canary') throw conflict(rollout, 'it has no steps', 'promote or end it');
  refuseUnprepared(rollout);
  return goToStep(db, rollout, rollout.step + 1);
}

/** Moves a canary to a step. At 100 percent, no users are left to compare with, so its version becomes stable. */
async function goToStep(db: Db, rollout: Rollout, step: number): Promise<boolean> {
  const { plan } = rollout;
  const percent = plan.kind === 'canary' ? (plan.steps[step] ?? 100) : 100;
  if (percent >= 100) return promote(db, rollout, CANDIDATE);
  await giveUsers(db, rollout.id, { name: CANDIDATE, firstBucket: 0, endBucket: Math.round(percent * 100) });
  return setStep(db, rollout, step);
}

async function setStep(db: Db, { id }: Rollout, step: number): Promise<boolean> {
  await changeRows(db, rolloutOf(id).set({ state: 'running', step, step_started_at: databaseNow() }));
  return true;
}

/**
 * Rejects a rollout that is preparing: processes may not have loaded its version, or its predictions may be missing.
 */
function refuseUnprepared(rollout: Rollout): void {
  if (rollout.state !== 'preparing') return;
  throw conflict(rollout, 'it is preparing', 'wait until it is running, or abort it');
}

async function promoteByHand(db: Db, rollout: Rollout, arm: string): Promise<boolean> {
  if (rollout.kind === 'shadow') {
    throw conflict(rollout, 'a shadow has served no users', 'end it, and start a canary to its model version');
  }
  refuseUnprepared(rollout);
  return promote(db, rollout, arm);
}

async function promote(db: Db, rollout: Rollout, arm: string): Promise<boolean> {
  const names = rollout.arms.map(({ name }) => name);
  refuseUnknownArm(rollout, names, arm);
  await makeStable(db, rollout, arm);
  return conclude(db, rollout, 'promoted');
}

async function turn(db: Db, rollout: Rollout, from: RolloutState, to: RolloutState): Promise<boolean> {
  if (rollout.state === to) return false;
  if (rollout.state !== from)
    throw conflict(rollout, `it is ${rollout.state}`, 'wait until it is running, or abort it');
  await changeRows(db, rolloutOf(rollout.id).set({ state: to }));
  return true;
}

async function finish(db: Db, rollout: Rollout, state: 'aborted' | 'ended'): Promise<boolean> {
  await removeArms(db, rollout.id);
  return conclude(db, rollout, state);
}

async function end(db: Db, rollout: Rollout): Promise<boolean> {
  if (rollout.kind === 'canary') {
    const { predictor } = rollout;
    const remedy = `promote or abort it: tandem rollout promote ${predictor}, or tandem rollout abort ${predictor}`;
    throw conflict(rollout, 'it is a canary, which ends only when it is promoted or aborted', remedy);
  }
  return finish(db, rollout, 'ended');
}

async function conclude(db: Db, rollout: Rollout, state: 'promoted' | 'aborted' | 'ended'): Promise<boolean> {
  await changeRows(
    db,
    rolloutOf(rollout.id).set({ state, ended_at: databaseNow(), last_arms: JSON.stringify(rollout.arms) }),
  );
  await changeRows(db, statements.deleteFrom('tandem.arm_overrides').where('rollout_id', '=', rollout.id));
  await setEventFeatures(db, rollout.predictor);
  return true;
}

function conflict(rollout: Rollout, why: string, remedy: string): TandemError {
  return new TandemError(
    'rollout_conflict',
    `Rollout ${rollout.number} of ${rollout.predictor} cannot be moved: ${why}.`,
    {
      field: 'rolloutId',
      remedy,
    },
  );
}
