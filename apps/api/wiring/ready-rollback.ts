import { setTimeout } from 'node:timers/promises';
import { awaitVersions, readinessOf } from '@tandem/offline-store/processes/processes';
import { mayServe } from '@tandem/prediction/processes/processes';
import { rollbackTarget } from '@tandem/prediction/runs/rollback-target';
import type { GenerationStore } from '@tandem/prediction/runs/run-store';
import type { Confirming } from '@tandem/prediction/runs/withdrawals';

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
