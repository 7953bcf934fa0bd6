/**
 * Drops what retention does not keep, in Postgres and then in the online store. It looks at all that the online store
 * holds, so it runs apart from reconcile.ts, whose rounds must not wait for it.
 */

import { createStepper } from './independent-steps.ts';
import type { GenerationSweeper } from './online-generations.ts';
import type { GenerationStore } from './run-store.ts';

export interface RetainDependencies {
  readonly generations: Pick<GenerationStore, 'dropRetired'>;
  readonly sweeper: GenerationSweeper;
  /** Ids of all generations that the online store may hold. */
  listGenerations(): Promise<readonly string[]>;
  /** Removes event ids, events and runs that are past their time; gives how many rows. */
  expire(): Promise<number>;
}

interface RetentionReport {
  readonly generationsDropped: number;
  readonly rowsExpired: number;
  /** A step that failed; the other was done all the same. */
  readonly errors: readonly string[];
}

export async function retain(dependencies: RetainDependencies): Promise<RetentionReport> {
  const { step, errors } = createStepper();
  const generationsDropped = await step('retention', () => dropRetired(dependencies), 0);
  const rowsExpired = await step('expiry', () => dependencies.expire(), 0);
  return { generationsDropped, rowsExpired, errors };
}

/** Postgres first: what a kill leaves in Redis, the sweep finds. */
async function dropRetired({ generations, sweeper, listGenerations }: RetainDependencies): Promise<number> {
  const dropped = await generations.dropRetired();
  for (const generation of dropped) await sweeper.forget(generation);
  await sweeper.sweep(listGenerations);
  return dropped.length;
}
