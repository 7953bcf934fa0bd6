/** From evidence to a check's state: the same rule for every guardrail. */
import { alwaysValidP, eValueOf } from '../sequential/e-value.ts';
import type { CheckState, Evidence } from './rollout-figures.ts';

/**
 * How sure is sure. `worse`: a guardrail's share of the plan's alpha, since any of them rolls a rollout back. `notWorse`:
 * alpha undivided, since all of them must be proven for a promotion (an intersection–union test: R. L. Berger,
 * Technometrics 24, 1982), so that one alone which is truly worse lets it through with a probability of at most alpha.
 */
export interface Alphas {
  readonly worse: number;
  readonly notWorse: number;
}

export function evidenceOf(logEvidence: number, alpha: number): Evidence {
  return { eValue: eValueOf(logEvidence), needed: 1 / alpha, pValue: alwaysValidP(logEvidence) };
}

export function stateOf(worse: Evidence, notWorse: Evidence): CheckState {
  if (worse.eValue >= worse.needed) return 'fail';
  return notWorse.eValue >= notWorse.needed ? 'pass' : 'inconclusive';
}
