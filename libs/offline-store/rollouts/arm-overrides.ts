/** Users who are put into an arm by hand, whatever their bucket: to see for oneself what it answers. */
import { TandemError } from '@tandem/freshness/errors';
import { notFound } from '@tandem/freshness/read-errors';
import { isActive, type Rollout, STABLE } from '@tandem/freshness/rollout';
import { checkUserId } from '@tandem/freshness/user-id';
import type { ArmOverride } from '@tandem/prediction/rollouts/rollout-store';
import type pg from 'pg';
import { insertAudit } from '../sql/audit.ts';
import { type Db, query, transaction } from '../sql/database.ts';
import { lockAssignments } from '../sql/settings.ts';
import { requireRollout } from './rollout-rows.ts';

/** They travel with every change of assignments, and lie in the memory of every process. */
const MAX_OVERRIDES = 1_000;

export interface Override {
  /** Of the rollout. */
  readonly id: string;
  readonly userId: string;
  /** Null: the user is left to their bucket again. */
  readonly arm: string | null;
  readonly actor: string;
}

export async function listOverrides(db: Db, rolloutId: string): Promise<readonly ArmOverride[]> {
  return query<ArmOverride & Record<string, unknown>>(db, {
    text: 'select user_id as "userId", arm from tandem.arm_overrides where rollout_id = $1 order by user_id',
    values: [rolloutId],
  });
}

export async function overrideArm(pool: pg.Pool, { id, userId, arm, actor }: Override): Promise<void> {
  await transaction(pool, async (db) => {
    const { keyType } = await lockAssignments(db);
    const rollout = await requireRollout(db, id);
    refuseMisfit(rollout, arm);
    const check = checkUserId(keyType ?? 'text', userId);
    if (!check.ok) {
      throw new TandemError('invalid_input', `${check.problem.charAt(0).toUpperCase()}${check.problem.slice(1)}.`, {
        field: 'userId',
        remedy: check.canonical === undefined ? 'correct the id' : `send ${JSON.stringify(check.canonical)}`,
      });
    }
    if (arm !== null) await refuseErased(db, userId);
    await write(db, id, userId, arm);
    const detail = { rollout: rollout.number, id, arm };
    await insertAudit(db, { actor, action: 'override_arm', predictor: rollout.predictor, detail });
  });
}

function refuseMisfit(rollout: Rollout, arm: string | null): void {
  const names = [STABLE, ...rollout.arms.map(({ name }) => name)];
  if (!isActive(rollout.state) || rollout.kind === 'shadow') {
    const why = rollout.kind === 'shadow' ? 'of a shadow nobody is served' : `it is ${rollout.state}`;
    throw new TandemError('rollout_conflict', `Nobody can be put into an arm of rollout ${rollout.number}: ${why}.`, {
      field: 'rolloutId',
      remedy: 'name a canary or an A/B test that is under way',
    });
  }
  if (arm === null || names.includes(arm)) return;
  throw new TandemError('invalid_input', `Rollout ${rollout.number} has no arm ${JSON.stringify(arm)}.`, {
    field: 'variant',
    remedy: `name one of ${names.join(', ')}`,
  });
}

/** Nothing of them is to be written anew. */
async function refuseErased(db: Db, userId: string): Promise<void> {
  const rows = await query(db, {
    text: `select from tandem.user_contexts where user_id = $1 and deleted_version > 0 and version = deleted_version`,
    values: [userId],
  });
  if (rows.length > 0) throw notFound(userId);
}

async function write(db: Db, id: string, userId: string, arm: string | null): Promise<void> {
  if (arm === null) {
    await query(db, {
      text: 'delete from tandem.arm_overrides where rollout_id = $1 and user_id = $2',
      values: [id, userId],
    });
    return;
  }
  const [{ others = 0 } = {}] = await query<{ others: number }>(db, {
    text: 'select count(*)::int as others from tandem.arm_overrides where rollout_id = $1 and user_id <> $2',
    values: [id, userId],
  });
  if (others >= MAX_OVERRIDES) {
    throw new TandemError('invalid_input', `At most ${MAX_OVERRIDES} users can be put into arms by hand.`, {
      field: 'userId',
      remedy: 'leave some to their buckets again',
    });
  }
  await query(db, {
    text: `insert into tandem.arm_overrides (rollout_id, user_id, arm) values ($1, $2, $3)
      on conflict (rollout_id, user_id) do update set arm = excluded.arm`,
    values: [id, userId, arm],
  });
}
