/** The store of generations: rolls back to an earlier generation, and drops generations beyond the retention. */
import { unknownPredictor } from '@tandem/freshness/errors';
import type { Generation } from '@tandem/prediction/runs/generations';
import { rollbackTarget } from '@tandem/prediction/runs/rollback-target';
import type { GenerationStore, RollbackRequest } from '@tandem/prediction/runs/run-store';
import type pg from 'pg';
import { findNewRules, setEventFeatures } from '../events/event-rules.ts';
import { changeEventRules, setPatternsPending } from '../events/rule-changes.ts';
import { findModelVersion } from '../models/registry.ts';
import { refuseArchived } from '../models/version-labels.ts';
import { findArm, moveArm } from '../rollouts/arms.ts';
import { refuseUnderRollout } from '../rollouts/rollout-rows.ts';
import { listStableVersions } from '../rollouts/stable-history.ts';
import { insertAudit } from '../sql/audit.ts';
import { sqlState, transaction } from '../sql/database.ts';
import { dropPartition, lockPartition } from '../sql/partition.ts';
import { lockAssignments } from '../sql/settings.ts';
import { changeRows, statements } from '../sql/statements.ts';
import {
  findGeneration,
  listCandidates,
  listGenerations,
  listInForce,
  readPages,
  retiredGenerations,
} from './generation-rows.ts';

export function createGenerationStore(pool: pg.Pool): GenerationStore {
  return {
    list: (predictor) => listGenerations(pool, predictor),
    stableVersions: (predictor, limit) => listStableVersions(pool, predictor, limit),
    find: (id) => findGeneration(pool, id),
    inForce: () => listInForce(pool),
    rollBack: (request) => rollBack(pool, request),
    dropRetired: () => dropRetired(pool),
    pages: (generation, pageSize) => readPages(pool, generation, pageSize),
  };
}

/**
 * Moves the stable arm's pointer back to an earlier generation, and to the model version of that generation. Raises
 * floor and revision, and restarts the expiry. Rejects with `unknown_predictor`, `unknown_generation` (which names the
 * possible generations), `never_stable`, and `version_archived`.
 */
async function rollBack(pool: pg.Pool, { predictor, to, force, actor }: RollbackRequest) {
  return changeEventRules(pool, async (db) => {
    await lockAssignments(db);
    const arm = await findArm(db, predictor);
    if (!arm) {
      throw unknownPredictor(predictor);
    }
    await refuseUnderRollout(db, predictor);
    const all = await listGenerations(db, predictor);
    const from = all.find((one) => one.id === arm.generationId) ?? null;
    const target = rollbackTarget(all, from, { to, force: force ?? false });
    await refuseArchived(db, { predictor, number: target.modelNumber }, 'to');
    await putInForce(db, target);
    await insertAudit(db, {
      actor,
      action: 'rollback',
      predictor,
      detail: {
        ...{ from: from?.number ?? null, to: target.number, modelVersionId: target.modelVersionId },
        ...(target.wasStable ? {} : { forced: true }),
      },
    });
    return { from: from && { ...from, inForce: false }, to: { ...target, inForce: true } };
  });
}

async function putInForce(db: pg.PoolClient, { id, predictor, modelVersionId }: Generation): Promise<void> {
  // There are no new features if the generation was always kept. But the generation of a run that outlived its version
  // may have features that events do not know.
  const { features } = await findNewRules(db, await findModelVersion(db, modelVersionId));
  await moveArm(db, predictor, { modelVersionId, generationId: id, raiseFloor: true, restartExpiry: true });
  await setEventFeatures(db, predictor);
  if (features) await setPatternsPending(db, predictor);
}

/** Drops each generation in a separate transaction. If its partition cannot be locked, it is left to the next round. */
async function dropRetired(pool: pg.Pool): Promise<readonly Generation[]> {
  const dropped: Generation[] = [];
  for (const { id, predictor } of retiredGenerations(await listCandidates(pool))) {
    const one = await transaction(pool, (db) => dropOne(db, id, predictor)).catch((error: unknown) => {
      if (sqlState(error) === '55P03') return null;
      throw error;
    });
    if (one) dropped.push(one);
  }
  return dropped;
}

async function dropOne(db: pg.PoolClient, id: string, predictor: string): Promise<Generation | null> {
  await lockPartition(db, id);
  // The candidates are read again under the lock, since a rollback may have returned to the generation in the meantime.
  await lockAssignments(db);
  const retired = retiredGenerations(await listCandidates(db, predictor)).find((one) => one.id === id);
  if (!retired) return null;
  await changeRows(db, statements.updateTable('tandem.generations').set({ state: 'dropped' }).where('id', '=', id));
  await setEventFeatures(db, predictor);
  await insertAudit(db, {
    actor: 'retention',
    action: 'drop_generation',
    predictor,
    detail: { generation: retired.number },
  });
  await dropPartition(db, id);
  return { ...retired, state: 'dropped' };
}
