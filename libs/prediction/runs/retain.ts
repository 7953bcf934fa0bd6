/**
 * Drops the generations that retention does not keep, in Postgres and then in the online store. It looks at all that the
 * online store holds, so it runs apart from reconcile.ts, whose rounds must not wait for it.
 */

import { createStepper } from './independent-steps.ts';
import type { GenerationSweeper } from './online-generations.ts';
import type { GenerationStore } from './run-store.ts';

export interface RetainDependencies {
  readonly generations: Pick<GenerationStore, 'dropRetired'>;
  readonly sweeper: GenerationSweeper;
  /** Ids of all generations that the online store may hold. */
  listGenerations(): Promise<readonly string[]>;
}

interface RetentionReport {
  readonly generationsDropped: number;
  /** What failed. */
  readonly errors: readonly string[];
}

export async function retain(dependencies: RetainDependencies): Promise<RetentionReport> {
  const { step, errors } = createStepper();
  const generationsDropped = await step('retention', () => dropRetired(dependencies), 0);
  return { generationsDropped, errors };
}

/** Postgres first: what a kill leaves in Redis, the sweep finds. */
async function dropRetired({ generations, sweeper, listGenerations }: RetainDependencies): Promise<number> {
  const dropped = await generations.dropRetired();
  for (const generation of dropped) await sweeper.forget(generation);
  await sweeper.sweep(listGenerations);
  return dropped.length;
}
