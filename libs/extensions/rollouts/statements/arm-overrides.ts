/** Overrides: an operator can assign users to an arm, whatever their bucket, to inspect its answers. */

import { notFound, TandemError } from '@tandem/freshness/errors';
import { isActive, type Rollout, STABLE } from '@tandem/freshness/rollout';
import { checkUserId } from '@tandem/freshness/user-id';
import { sentence } from '@tandem/offline-store/events/refusal';
import { insertAudit } from '@tandem/offline-store/sql/audit';
import { type Db, type Pool, transaction } from '@tandem/offline-store/sql/database';
import { lockAssignments } from '@tandem/offline-store/sql/settings';
import { changeRows, fetchFirst, fetchRows, statements } from '@tandem/offline-store/sql/statements';
import type { ArmOverride } from '../rules/rollout-store.ts';
import { deleteOverridden } from './exposures.ts';
import { refuseUnknownArm, requireRollout } from './rollout-rows.ts';

/**
 * The maximum number of overrides. They are sent with every change of assignments, and every process keeps them in
 * memory.
 */
const MAX_OVERRIDES = 1_000;

interface Override {
  /** The id of the rollout. */
  readonly id: string;
  readonly userId: string;
  /** The arm; null: the user's bucket decides again. */
  readonly arm: string | null;
  readonly actor: string;
}

export async function listOverrides(db: Db, rolloutId: string): Promise<readonly ArmOverride[]> {
  const overrides = statements.selectFrom('tandem.arm_overrides').select(['user_id as userId', 'arm']);
  return fetchRows(db, overrides.where('rollout_id', '=', rolloutId).orderBy('user_id'));
}

/**
 * Assigns the user. Counts of the user's earlier reads are deleted in a transaction of its own: it waits for a lock,
 * and other changes of assignments must not wait for it.
 */
export async function overrideArm(pool: Pool, { id, userId, arm, actor }: Override): Promise<void> {
  const rollout = await transaction(pool, async (db) => {
    const { keyType } = await lockAssignments(db);
    const rollout = await requireRollout(db, id);
    refuseMisfit(rollout, arm);
    const check = checkUserId(keyType ?? 'text', userId);
    if (!check.ok) {
      throw new TandemError('invalid_input', sentence(check.problem), {
        field: 'userId',
        remedy: check.canonical === undefined ? 'correct the id' : `send ${JSON.stringify(check.canonical)}`,
      });
    }
    if (arm !== null) await refuseErased(db, userId);
    await write(db, id, userId, arm);
    const detail = { rollout: rollout.number, id, arm };
    await insertAudit(db, { actor, action: 'override_arm', predictor: rollout.predictor, detail });
    return rollout;
  });
  if (arm === null) return;
  await transaction(pool, (db) => deleteOverridden(db, rollout, userId)).catch((cause) => {
    throw new TandemError(
      'unavailable',
      'The assignment applies, but the counts still have earlier reads of the user.',
      {
        remedy: 'send the request again, which deletes them',
        retryAfter: 5,
        cause,
      },
    );
  });
}

function refuseMisfit(rollout: Rollout, arm: string | null): void {
  const names = [STABLE, ...rollout.arms.map(({ name }) => name)];
  if (!isActive(rollout.state) || rollout.kind === 'shadow') {
    const why = rollout.kind === 'shadow' ? 'a shadow serves no users' : `it is ${rollout.state}`;
    throw new TandemError(
      'rollout_conflict',
      `No user can be assigned to an arm of rollout ${rollout.number}: ${why}.`,
      {
        field: 'rolloutId',
        remedy: 'use the id of an active canary or A/B test',
      },
    );
  }
  if (arm !== null) refuseUnknownArm(rollout, names, arm);
}

/** Rejects an erased user, since no record of such a user may be written. */
async function refuseErased(db: Db, userId: string): Promise<void> {
  const erased = statements
    .selectFrom('tandem.user_contexts')
    .where('user_id', '=', userId)
    .where('deleted_version', '>', 0)
    .whereRef('version', '=', 'deleted_version');
  if (await fetchFirst(db, erased)) throw notFound(userId);
}

async function write(db: Db, id: string, userId: string, arm: string | null): Promise<void> {
  if (arm === null) {
    const override = statements.deleteFrom('tandem.arm_overrides').where('rollout_id', '=', id);
    await changeRows(db, override.where('user_id', '=', userId));
    return;
  }
  const others = statements
    .selectFrom('tandem.arm_overrides')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('rollout_id', '=', id)
    .where('user_id', '<>', userId);
  if (((await fetchFirst(db, others))?.count ?? 0) >= MAX_OVERRIDES) {
    throw new TandemError(
      'invalid_input',
      `The rollout already has ${MAX_OVERRIDES} users who are assigned by hand, which is the maximum.`,
      {
        field: 'userId',
        remedy: 'remove some assignments by hand first',
      },
    );
  }
  const override = statements
    .insertInto('tandem.arm_overrides')
    .values({ rollout_id: id, user_id: userId, arm })
    .onConflict((row) => row.columns(['rollout_id', 'user_id']).doUpdateSet({ arm }));
  await changeRows(db, override);
}
