/** The store of generations: rolls back to an earlier generation, and drops generations beyond the retention. */
import { unknownPredictor } from '@tandem/freshness/errors';
import type { Generation } from '@tandem/prediction/runs/generations';
import { rollbackTarget } from '@tandem/prediction/runs/rollback-target';
import type { GenerationStore, RollbackRequest, StableVersion } from '@tandem/prediction/runs/run-store';
import type pg from 'pg';
import { findArm, moveArm } from '../arms/arms.ts';
import { refuseUnderRollout } from '../arms/refuse-under-rollout.ts';
import { findNewRules, setEventFeatures } from '../events/event-rules.ts';
import { changeEventRules, setPatternsPending } from '../events/rule-changes.ts';
import { findModelVersion } from '../models/registry.ts';
import { refuseArchived } from '../models/version-labels.ts';
import { insertAudit } from '../sql/audit.ts';
import { type Db, query, sqlState, transaction } from '../sql/database.ts';
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

// The history of stable model versions: tandem.stable_history, which a trigger on the arms writes.

/**
 * Lists the periods of a predictor's stable arm, newest first. A period is the time between two changes of its model
 * version. `generation` is the kept generation of the version that the stable arm served last.
 */
async function listStableVersions(db: Db, predictor: string, limit: number): Promise<readonly StableVersion[]> {
  return query<StableVersion>(db, {
    text: `select v.number as "modelNumber", p.since, p.until, kept.number as "generationNumber"
      from (
        select model_version_id, seq, at as since, lead(at) over (order by seq) as until
        from (
          select model_version_id, seq, at, lag(model_version_id) over (order by seq) as before
          from tandem.stable_history where predictor = $1) each_change
        where before is distinct from model_version_id
        order by seq desc limit $2) p
      join tandem.model_versions v on v.id = p.model_version_id
      left join lateral (
        select g.number from tandem.stable_history h
        join tandem.generations g on g.id = h.generation_id and g.state = 'published'
        where h.model_version_id = p.model_version_id order by h.seq desc limit 1) kept on true
      order by p.seq desc`,
    values: [predictor, limit],
  });
}
