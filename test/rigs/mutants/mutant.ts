/**
 * Mutants: mistakes that are planted in the product's text, one at a time. The tests must catch each. They measure the
 * tests: if a mutant survives after a change of the tests, the tests no longer check a promise.
 */
import type { Plant } from '../faults/plant/patch.ts';

/** A single mistake. The code compiles with its patches. */
export type Mutant = GuaranteeMutant | OtherMutant;

/** A mistake that breaks a guarantee of docs/guarantees.md. The test that the page names must fail. */
export interface GuaranteeMutant extends Plant {
  /** The guarantee's number. */
  readonly guarantee: number;
  /** The index of the test among those that the guarantee names. Default: 0. */
  readonly test?: number;
}

/** A mistake that belongs to no guarantee. */
export interface OtherMutant extends Plant {
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
