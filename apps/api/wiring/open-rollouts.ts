import { withConfirmedMoves } from '@tandem/prediction/rollouts/confirmed-moves';
/** Opens the dependencies of the rollout endpoints: the store that moves and reads rollouts, and the audit. */

import { setTimeout } from 'node:timers/promises';
import type { OutcomeMetric } from '@tandem/freshness/rollout';
import { awaitVersions, readinessOf } from '@tandem/offline-store/processes/processes';
import { findReadUsers } from '@tandem/offline-store/rollouts/read-users';
import { createRolloutChecks, listChecks } from '@tandem/offline-store/rollouts/rollout-checks';
import { createRolloutStore } from '@tandem/offline-store/rollouts/rollouts';
import { findShadow } from '@tandem/offline-store/rollouts/shadow';
import { type AuditPage, listAudit } from '@tandem/offline-store/sql/audit';
import type { createPool } from '@tandem/offline-store/sql/database';
import { mayServe } from '@tandem/prediction/processes/processes';
import { rollbackTarget } from '@tandem/prediction/runs/rollback-target';
import type { GenerationStore } from '@tandem/prediction/runs/run-store';
import type { Confirming } from '@tandem/prediction/runs/withdrawals';

export function openRollouts(pool: ReturnType<typeof createPool>, confirming: Confirming) {
  return {
    rollouts: withConfirmedMoves(createRolloutStore(pool), confirming),
    findReadUsers: (metrics: readonly OutcomeMetric[], withinMs: number) => findReadUsers(pool, metrics, withinMs),
    rolloutChecks: createRolloutChecks(pool),
    findShadow: (rolloutId: string) => findShadow(pool, rolloutId),
    listChecks: (rolloutId: string, limit: number) => listChecks(pool, rolloutId, limit),
    listAudit: (page: AuditPage) => listAudit(pool, page),
  };
}

// Before a rollback to another model version, every process loads that version, within a time limit. Stored predictions
// are served at once, but live inference would have to wait for the load. The time limit keeps rollbacks fast.

type Database = Parameters<typeof readinessOf>[0];

const WITHIN_MS = 5_000;
const ASK_EVERY_MS = 200;
/** Milliseconds for which processes keep the version loaded, even if the rollback is then rejected. */
const HELD_MS = 60_000;

export function withReadyRollback(
  generations: GenerationStore,
  db: Database,
  { confirming, withinMs = WITHIN_MS }: { readonly confirming: Confirming; readonly withinMs?: number | undefined },
): GenerationStore {
  return {
    ...generations,
    async rollBack(request) {
      const all = await generations.list(request.predictor);
      const from = all.find(({ inForce }) => inForce) ?? null;
      const target = rollbackTarget(all, from, request);
      if (target.modelVersionId !== from?.modelVersionId) await makeReady(db, target.modelVersionId, withinMs);
      return confirming(() => generations.rollBack({ ...request, to: target.number }));
    },
  };
}

async function makeReady(db: Database, modelVersionId: string, withinMs: number): Promise<void> {
  await awaitVersions(db, [modelVersionId], HELD_MS);
  const until = performance.now() + withinMs;
  while (!mayServe(await readinessOf(db, [modelVersionId])).ok && performance.now() < until) {
    await setTimeout(ASK_EVERY_MS);
  }
}
