/**
 * Restores derived state from Postgres: enqueues unfinished work, sweeps after erasures, and reloads generations that
 * Redis lost. Every worker runs it every few seconds. Each step is idempotent, so several workers may run it at once.
 * After a flushed queue or Redis, or a killed worker, recovery takes at most until the next round.
 */

import type { KeepErased } from '../erasure/keep-erased.ts';
import type { LossNotice } from '../events/notice-loss.ts';
import type { Generation } from './generations.ts';
import { createStepper } from './independent-steps.ts';
import type { GenerationLoader } from './online-generations.ts';
import type { GenerationStore, RunHints, RunStore } from './run-store.ts';
import { isFinished } from './runs.ts';
import { hintAtNext } from './work-step.ts';

export interface ReconcileDependencies {
  readonly runs: Pick<RunStore, 'unfinished' | 'claimable'>;
  readonly generations: Pick<GenerationStore, 'inForce'>;
  readonly loader: Pick<GenerationLoader, 'isLoaded'>;
  readonly hints: RunHints;
  readonly losses: Pick<LossNotice, 'round'>;
  readonly erasures: KeepErased;
  /** Restores the count of withdrawals in Redis. */
  readonly keepWithdrawals: () => Promise<void>;
}

/** Creates the round, which returns its counts. A failed step is in `errors`; all others were done. */
export function createReconcile(dependencies: ReconcileDependencies) {
  const { losses, erasures, keepWithdrawals } = dependencies;
  return async function reconcile() {
    const { step, errors } = createStepper();
    // Runs concurrently with the other steps, since it waits for Redis, which may hang.
    const noticing = step('history', async () => Number(await losses.round()), 0);
    const hinted = await step('runs', () => hintAtRuns(dependencies), { unfinished: 0, chunks: 0 });
    const erasuresSwept = await step('erasures', () => erasures.round(), 0);
    await step('withdrawals', keepWithdrawals, undefined);
    const generationsToLoad = await step('generations', () => hintAtLoads(dependencies), 0);
    const { unfinished: unfinishedRuns, chunks: chunksHinted } = hinted;
    /** Detected database restores, after each of which another history began. */
    const lossesNoticed = await noticing;
    return { unfinishedRuns, chunksHinted, erasuresSwept, generationsToLoad, lossesNoticed, errors };
  };
}

async function hintAtRuns(dependencies: ReconcileDependencies): Promise<{ unfinished: number; chunks: number }> {
  const runs = await dependencies.runs.unfinished();
  let chunks = 0;
  for (const run of runs) chunks += await hintAtNext(dependencies, run);
  return { unfinished: runs.filter((run) => !isFinished(run.state)).length, chunks };
}

/**
 * Enqueues a load of each generation that Redis lost or that is not marked as complete. One job also completes a
 * missing mark, since this counts the generation's users, which reads the size of every bucket. The job is enqueued in
 * every round: the queue ignores it while the load waits or runs, and a lost job costs one round.
 */
async function hintAtLoads({ generations, loader, hints }: ReconcileDependencies): Promise<number> {
  const missing = await findNotLoaded(await generations.inForce(), loader);
  for (const { id } of missing) await hints.load(id);
  return missing.length;
}

/** Returns the generations that Redis does not hold completely. Rejects if Redis does not answer. */
export async function findNotLoaded(
  inForce: readonly Generation[],
  loader: Pick<GenerationLoader, 'isLoaded'>,
): Promise<readonly Generation[]> {
  const loaded = await Promise.all(inForce.map((generation) => loader.isLoaded(generation)));
  return inForce.filter((_, i) => !loaded[i]);
}
