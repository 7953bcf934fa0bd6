/** Lists all mutants, and finds mutants by name. */
import { UsageError } from '../command-line.ts';
import { freshnessMutants } from './freshness.ts';
import type { Mutant } from './mutant.ts';
import { routeMutants } from './routes.ts';
import { storeMutants } from './stores.ts';

export const mutants: readonly Mutant[] = [...freshnessMutants, ...storeMutants, ...routeMutants];

/** Returns the named mutants, or all if no name is given. Throws if a name is unknown. */
export function findMutants(names: readonly string[]): readonly Mutant[] {
  if (names.length === 0) return mutants;
  return names.map((name) => {
    const found = mutants.find((mutant) => mutant.name === name);
    if (found) return found;
    throw new UsageError(
      `there is no mutant ${JSON.stringify(name)}; choose from ${mutants.map((one) => one.name).join(', ')}`,
    );
  });
}
