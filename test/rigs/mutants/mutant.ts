/**
 * Mutants: mistakes that are planted in the product's text, one at a time. `npm test` must catch each. They measure the
 * tests: if a mutant survives after a change of the tests, the tests no longer check a promise.
 */
import type { Plant } from '../faults/plant/patch.ts';

/** A single mistake. The code compiles with its patches. */
export interface Mutant extends Plant {
  readonly area: Area;
  /**
   * Whether it breaks a rule of the freshness protocol, like the negative controls of the model check and the fault
   * rig.
   */
  readonly isControl: boolean;
  /**
   * The test files of `npm test` that fail with the mutant: paths relative to the project's root, with forward slashes.
   */
  readonly caughtBy: readonly string[];
}

/** The part of the product. `routes` includes API keys and HTTP handling. */
export type Area = 'freshness' | 'stores' | 'routes';
