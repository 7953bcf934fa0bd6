/** Lists all mutants, finds mutants by name or guarantee, and tells which tests must catch a mutant. */
import { readGuarantees } from '../../contract/guarantees.ts';
import { UsageError } from '../command-line.ts';
import { freshnessMutants } from './freshness.ts';
import { guaranteeMutants } from './guarantees.ts';
import type { Mutant } from './mutant.ts';
import { routeMutants } from './routes.ts';
import { storeMutants } from './stores.ts';
import type { WantedTest } from './test-run.ts';

export const mutants: readonly Mutant[] = [...guaranteeMutants, ...freshnessMutants, ...storeMutants, ...routeMutants];

/**
 * Returns the named mutants and those of the guarantees, or all if neither is given. Throws if a name or a number is
 * unknown.
 */
export function findMutants(names: readonly string[], guarantees: readonly string[] = []): readonly Mutant[] {
  if (names.length === 0 && guarantees.length === 0) return mutants;
  return [...names.map(findNamed), ...guarantees.flatMap(findOfGuarantee)];
}

function findNamed(name: string): Mutant {
  const found = mutants.find((mutant) => mutant.name === name);
  if (found) return found;
  throw new UsageError(
    `there is no mutant ${JSON.stringify(name)}; choose from ${mutants.map((one) => one.name).join(', ')}`,
  );
}

function findOfGuarantee(number: string): readonly Mutant[] {
  const found = guaranteeMutants.filter(({ guarantee }) => String(guarantee) === number);
  if (found.length > 0) return found;
  throw new UsageError(`--guarantee takes a number of docs/guarantees.md, not ${JSON.stringify(number)}`);
}

/** Returns the tests that must fail with the mutant. Throws if docs/guarantees.md does not name the mutant's test. */
export function testsOf(mutant: Mutant): readonly WantedTest[] {
  if (!('guarantee' in mutant)) return mutant.caughtBy.map((file) => ({ file, title: null }));
  const test = readGuarantees().find(({ no }) => no === mutant.guarantee)?.tests[mutant.test ?? 0];
  if (test) return [test];
  throw new Error(`docs/guarantees.md has no test ${mutant.test ?? 0} of guarantee ${mutant.guarantee}`);
}
