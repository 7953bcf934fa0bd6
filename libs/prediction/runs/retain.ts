/**
 * Drops the generations that retention does not keep, in Postgres and then in the online store, and model files that no
 * version uses. Its steps may take long, so it runs apart from reconcile.ts, whose rounds must not wait for it.
 */

import { createStepper } from './independent-steps.ts';
import type { GenerationSweeper } from './online-generations.ts';
import type { GenerationStore } from './run-store.ts';
import type { Turns } from './turns.ts';

export interface RetainDependencies {
  readonly generations: Pick<GenerationStore, 'dropRetired'>;
  readonly sweeper: GenerationSweeper;
  readonly turns: Turns;
  /** Ids of all generations that the online store may hold. */
  listGenerations(): Promise<readonly string[]>;
  /** Removes uploaded model files that no version uses; gives how many. */
  removeUnusedArtifacts(): Promise<number>;
}

interface RetentionReport {
  readonly generationsDropped: number;
  readonly artifactsRemoved: number;
  /** A step that failed; the other was done all the same. */
  readonly errors: readonly string[];
}

/** A generation of 100 million users has a million buckets to remove, some seconds of work. */
const GENERATIONS = { everyMs: 50_000, leaseMs: 600_000 };
const ARTIFACTS = { everyMs: 3_600_000, leaseMs: 600_000 };

export async function retain(dependencies: RetainDependencies): Promise<RetentionReport> {
  const { step, errors } = createStepper();
  const dropping = () => dependencies.turns.take('generations', GENERATIONS, () => dropRetired(dependencies));
  const generationsDropped = (await step('retention', dropping, 0)) ?? 0;
  const removing = () => dependencies.turns.take('artifacts', ARTIFACTS, () => dependencies.removeUnusedArtifacts());
  const artifactsRemoved = (await step('artifacts', removing, 0)) ?? 0;
  return { generationsDropped, artifactsRemoved, errors };
}

/** Postgres first: what a kill leaves in Redis, the sweep finds. */
async function dropRetired({ generations, sweeper, listGenerations }: RetainDependencies): Promise<number> {
  const dropped = await generations.dropRetired();
  for (const generation of dropped) await sweeper.forget(generation);
  await sweeper.sweep(listGenerations);
  return dropped.length;
}

/** A scan of 500 million keys takes some six hours. */
const LOST_KEYS = { everyMs: 24 * 3_600_000, leaseMs: 8 * 3_600_000 };

/** Removes, once a day, keys of generations of which the online store has lost track. Returns how many. */
export async function sweepLostKeys(
  { turns, sweeper, listGenerations }: Pick<RetainDependencies, 'turns' | 'sweeper' | 'listGenerations'>,
  signal: AbortSignal,
): Promise<number> {
  const swept = await turns.take('lost_keys', LOST_KEYS, () => sweeper.sweepLost(listGenerations, signal));
  return swept?.keys ?? 0;
}
