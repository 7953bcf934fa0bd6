/**
 * The table of guarantees and mutants: each guarantee of docs/guarantees.md has at least one small mistake that breaks it.
 * The test that the page names for the guarantee must catch it.
 */
import { failuresAndRuns } from './guarantees/failures-and-runs.ts';
import { freshnessAndEvents } from './guarantees/freshness-and-events.ts';
import { rolloutsAndOperation } from './guarantees/rollouts-and-operation.ts';
import type { GuaranteeMutant } from './mutant.ts';

export const guaranteeMutants: readonly GuaranteeMutant[] = [
  ...freshnessAndEvents,
  ...failuresAndRuns,
  ...rolloutsAndOperation,
];
