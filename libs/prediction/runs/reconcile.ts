/**
 * Brings the derived back in line with Postgres: hints at what is not done, sweeps after erasures, loads
 * what Redis lost. Every worker runs it every few seconds; each step is idempotent, so none needs to be alone. A queue or
 * Redis that was flushed, and a worker that was killed, cost the time until the next round.
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
  readonly loader: Pick<GenerationLoader, 'isLoaded' | 'completeLoad'>;
  readonly hints: RunHints;
  readonly losses: Pick<LossNotice, 'round'>;
  readonly erasures: KeepErased;
  /** Milliseconds that only ever rise; for tests. */
  now?(): number;
}

/** How much of each a round did; a step that failed is in `errors`, and the others were done all the same. */
interface ReconcileReport {
  readonly unfinishedRuns: number;
  readonly chunksHinted: number;
  readonly generationsToLoad: number;
  readonly erasuresSwept: number;
  /** The database was set back, and another history begun. */
  readonly lossesNoticed: number;
  readonly errors: readonly string[];
}

type Reconcile = () => Promise<ReconcileReport>;

/** Counting a generation's users asks for the size of every bucket: not while a load of it is likely under way. */
const COUNT_AGAIN_MS = 60_000;

/** Rounds remember which generations they had loaded, so that they do not count their users each time. */
export function createReconcile(dependencies: ReconcileDependencies): Reconcile {
  const { losses, erasures, now = () => performance.now() } = dependencies;
  const countedAt = new Map<string, number>();
  return async function reconcile() {
    const { step, errors } = createStepper();
    // Beside the others: it waits for Redis, which may hang.
    const noticing = step('history', async () => Number(await losses.round()), 0);
    const hinted = await step('runs', () => hintAtRuns(dependencies), { unfinished: 0, chunks: 0 });
    const erasuresSwept = await step('erasures', () => erasures.round(), 0);
    const generationsToLoad = await step('generations', () => hintAtLoads(dependencies, countedAt, now()), 0);
    const { unfinished: unfinishedRuns, chunks: chunksHinted } = hinted;
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
 * A generation whose chunks were all loaded only lacks its mark; one that Redis lost is loaded from Postgres. The hint is
 * given every round: the queue adds none while the load waits or runs, and a lost one costs no more than a round.
 */
async function hintAtLoads(
  { generations, loader, hints }: ReconcileDependencies,
  countedAt: Map<string, number>,
  now: number,
): Promise<number> {
  const missing: Generation[] = [];
  for (const generation of await generations.inForce()) {
    if (await loader.isLoaded(generation)) continue;
    const isDue = now - (countedAt.get(generation.id) ?? Number.NEGATIVE_INFINITY) >= COUNT_AGAIN_MS;
    if (isDue && (await loader.completeLoad(generation, generation.users))) continue;
    if (isDue) countedAt.set(generation.id, now);
    missing.push(generation);
    await hints.load(generation.id);
  }
  for (const id of countedAt.keys()) if (!missing.some((generation) => generation.id === id)) countedAt.delete(id);
  return missing.length;
}
