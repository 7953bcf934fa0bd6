/**
 * Drops the generations that retention does not keep, in Postgres and then in the online store. Also removes model
 * files that no version uses. The steps may take long, so they run separately from reconcile.ts, whose rounds must not
 * wait.
 */

import { createStepper } from './independent-steps.ts';
import type { GenerationSweeper } from './online-generations.ts';
import type { GenerationStore } from './run-store.ts';
import type { Turns } from './turns.ts';

export interface RetainDependencies {
  readonly generations: Pick<GenerationStore, 'dropRetired'>;
  readonly sweeper: GenerationSweeper;
  readonly turns: Turns;
  /** Returns the ids of all generations that the online store may hold. */
  listGenerations(): Promise<readonly string[]>;
  /** Removes uploaded model files that no version uses. Returns how many. */
  removeUnusedArtifacts(): Promise<number>;
}

/** The lease covers a generation of 100 million users: removing its million buckets takes some seconds. */
const GENERATIONS = { everyMs: 50_000, leaseMs: 600_000 };
const ARTIFACTS = { everyMs: 3_600_000, leaseMs: 600_000 };

export async function retain(dependencies: RetainDependencies) {
  const { step, errors } = createStepper();
  const dropping = () => dependencies.turns.take('generations', GENERATIONS, () => dropRetired(dependencies));
  const generationsDropped = (await step('retention', dropping, 0)) ?? 0;
  const removing = () => dependencies.turns.take('artifacts', ARTIFACTS, () => dependencies.removeUnusedArtifacts());
  const artifactsRemoved = (await step('artifacts', removing, 0)) ?? 0;
  return { generationsDropped, artifactsRemoved, errors };
}

/** Drops generations in Postgres, then in Redis. The sweep also finds keys that a killed process left in Redis. */
async function dropRetired({ generations, sweeper, listGenerations }: RetainDependencies): Promise<number> {
  const dropped = await generations.dropRetired();
  for (const generation of dropped) await sweeper.forget(generation);
  await sweeper.sweep(listGenerations);
  return dropped.length;
}

/** The lease covers a scan of 500 million keys, which takes about six hours. */
const LOST_KEYS = { everyMs: 24 * 3_600_000, leaseMs: 8 * 3_600_000 };

/** Removes once a day the keys of generations that the online store no longer lists. Returns how many. */
export async function sweepLostKeys(
  { turns, sweeper, listGenerations }: Pick<RetainDependencies, 'turns' | 'sweeper' | 'listGenerations'>,
  signal: AbortSignal,
): Promise<number> {
  const swept = await turns.take('lost_keys', LOST_KEYS, () => sweeper.sweepLost(listGenerations, signal));
  return swept?.keys ?? 0;
}
