/**
 * Brings the derived back in line with Postgres: hints at what is not done, loads what Redis lost, drops what retention
 * does not keep. Every worker runs it every few seconds; each step is idempotent, so none needs to be alone. A queue or
 * Redis that was flushed, and a worker that was killed, cost the time until the next round.
 */

import { unreachable } from './errors.ts';
import type { HintStore } from './events.ts';
import type { GenerationLoader, GenerationSweeper } from './generation-loader.ts';
import { hintAtChunks } from './plan-run.ts';
import { type Outbox, relayOutbox } from './relay-outbox.ts';
import type { RunHints } from './run-hints.ts';
import type { GenerationStore, RunStore } from './run-store.ts';
import { isFinished, type Run, type RunState } from './runs.ts';

export interface ReconcileDependencies {
  readonly runs: Pick<RunStore, 'unfinished' | 'plan' | 'claimable' | 'fail'>;
  readonly generations: Pick<GenerationStore, 'inForce' | 'dropRetired'>;
  readonly loader: Pick<GenerationLoader, 'isLoaded' | 'completeLoad'>;
  readonly sweeper: GenerationSweeper;
  /** Ids of all generations that are not dropped. */
  listGenerations(): Promise<readonly string[]>;
  readonly hints: RunHints;
  readonly outbox: Outbox;
  readonly userHints: HintStore;
  /** Removes event ids, events and runs that are past their time; gives how many rows. */
  expire(): Promise<number>;
}

/** How much of each a round did; a step that failed is in `errors`, and the others were done all the same. */
export interface ReconcileReport {
  readonly unfinishedRuns: number;
  readonly chunksHinted: number;
  readonly hintsRelayed: number;
  readonly generationsToLoad: number;
  readonly generationsDropped: number;
  readonly rowsExpired: number;
  readonly errors: readonly string[];
}

/** @param thorough also what need not happen every few seconds: retention */
export async function reconcile(dependencies: ReconcileDependencies, thorough: boolean): Promise<ReconcileReport> {
  const errors: string[] = [];
  async function step<T>(name: string, work: () => Promise<T>, otherwise: T): Promise<T> {
    try {
      return await work();
    } catch (error) {
      errors.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      return otherwise;
    }
  }
  const { outbox, userHints, expire } = dependencies;
  const hinted = await step('runs', () => hintAtRuns(dependencies), { unfinished: 0, chunks: 0 });
  const hintsRelayed = await step('outbox', () => relayOutbox(outbox, userHints), 0);
  const generationsToLoad = await step('generations', () => hintAtLoads(dependencies), 0);
  const generationsDropped = thorough ? await step('retention', () => dropRetired(dependencies), 0) : 0;
  const rowsExpired = thorough ? await step('expiry', () => expire(), 0) : 0;
  return {
    unfinishedRuns: hinted.unfinished,
    chunksHinted: hinted.chunks,
    hintsRelayed,
    generationsToLoad,
    generationsDropped,
    rowsExpired,
    errors,
  };
}

async function hintAtRuns(dependencies: ReconcileDependencies): Promise<{ unfinished: number; chunks: number }> {
  const runs = await dependencies.runs.unfinished();
  let chunks = 0;
  for (const run of runs) chunks += await hintAtNext(dependencies, run);
  return { unfinished: runs.filter((run) => !isFinished(run.state)).length, chunks };
}

/** The next step of a run; gives how many chunks were hinted at. */
async function hintAtNext({ runs, hints }: ReconcileDependencies, run: Run): Promise<number> {
  const state: RunState = run.state;
  switch (state) {
    case 'planned':
      await hints.plan(run.id);
      return 0;
    case 'running':
      return hintAtChunks({ runs, hints }, run);
    case 'publishing':
      await hints.publish(run.id);
      return 0;
    case 'done':
    case 'done_with_errors':
    case 'failed':
    case 'cancelled':
      return 0;
    default:
      return unreachable(state);
  }
}

/** A generation whose chunks were all loaded only lacks its mark; one that Redis lost is loaded from Postgres. */
async function hintAtLoads({ generations, loader, hints }: ReconcileDependencies): Promise<number> {
  let missing = 0;
  for (const generation of await generations.inForce()) {
    if (await loader.isLoaded(generation)) continue;
    if (await loader.completeLoad(generation, generation.users)) continue;
    missing++;
    await hints.load(generation.id);
  }
  return missing;
}

/** Postgres first: what a kill leaves in Redis, the sweep finds. */
async function dropRetired({ generations, sweeper, listGenerations }: ReconcileDependencies): Promise<number> {
  const dropped = await generations.dropRetired();
  for (const generation of dropped) await sweeper.forget(generation);
  await sweeper.sweep(listGenerations);
  return dropped.length;
}
