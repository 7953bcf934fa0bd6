/** What the endpoints of rollouts ask: the store that moves them, looks at them, and the audit. */

import { setTimeout } from 'node:timers/promises';
import { awaitVersions, readinessOf } from '@tandem/offline-store/rollouts/processes';
import { createRolloutChecks, listChecks } from '@tandem/offline-store/rollouts/rollout-checks';
import { createRolloutStore } from '@tandem/offline-store/rollouts/rollouts';
import { type AuditPage, listAudit } from '@tandem/offline-store/sql/audit';
import type { createPool } from '@tandem/offline-store/sql/database';
import { mayServe } from '@tandem/prediction/rollouts/processes';
import { rollbackTarget } from '@tandem/prediction/runs/rollback-target';
import type { GenerationStore } from '@tandem/prediction/runs/run-store';

export function openRollouts(pool: ReturnType<typeof createPool>) {
  return {
    rollouts: createRolloutStore(pool),
    rolloutChecks: createRolloutChecks(pool),
    listChecks: (rolloutId: string, limit: number) => listChecks(pool, rolloutId, limit),
    listAudit: (page: AuditPage) => listAudit(pool, page),
  };
}

// A rollback to another model version lets every process load that version first, within a time: what is stored is served at
// once, but whoever has to be inferred live would else wait for the load. It does not wait for longer: whoever rolls back
// has a reason.

type Database = Parameters<typeof readinessOf>[0];

const WITHIN_MS = 5_000;
const ASK_EVERY_MS = 200;
/** Processes hold it for so long, also where the rollback is refused then. */
const HELD_MS = 60_000;

export function withReadyRollback(generations: GenerationStore, db: Database): GenerationStore {
  return {
    ...generations,
    async rollBack(request) {
      const all = await generations.list(request.predictor);
      const from = all.find(({ inForce }) => inForce) ?? null;
      const target = rollbackTarget(all, from, request);
      if (target.modelVersionId !== from?.modelVersionId) await makeReady(db, target.modelVersionId);
      return generations.rollBack({ ...request, to: target.number });
    },
  };
}

async function makeReady(db: Database, modelVersionId: string): Promise<void> {
  await awaitVersions(db, [modelVersionId], HELD_MS);
  const until = performance.now() + WITHIN_MS;
  while (!mayServe(await readinessOf(db, [modelVersionId])).ok && performance.now() < until) {
    await setTimeout(ASK_EVERY_MS);
  }
}
