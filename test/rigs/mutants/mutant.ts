/**
 * Mutants: mistakes planted in the product's text, one at a time, which `npm test` must catch. They measure the tests: a
 * change of the tests that lets a mutant survive has lost a promise.
 */
import type { Plant } from '../faults/plant/patch.ts';

/** One mistake. Its patches leave code that compiles. */
export interface Mutant extends Plant {
  readonly area: Area;
  /** Whether it breaks a rule of the freshness protocol, as the model check's or the fault rig's negative controls do. */
  readonly isControl: boolean;
  /** Test files of `npm test`, each of which fails under the mutant. Relative to the project's root, with forward slashes. */
  readonly caughtBy: readonly string[];
}

/** `routes` includes the API's keys and everything it does with HTTP. */
export type Area = 'freshness' | 'stores' | 'routes';
