/** From evidence to a check's state: the same rule for every guardrail. */
import { alwaysValidP, eValueOf } from '../sequential/confidence-sequence.ts';
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

// Figures as people read them in a check's sentence: three digits.

/** Formats a share from 0 to 1. */
export function percent(share: number): string {
  return `${figure(100 * share)} %`;
}

/** Formats a change from -1 up, with its sign. */
export function signedPercent(change: number): string {
  return `${change > 0 ? '+' : ''}${percent(change)}`;
}

export function figure(value: number): string {
  if (value !== 0 && (Math.abs(value) < 0.001 || Math.abs(value) >= 1e6)) return value.toExponential(1);
  return `${Number(value.toPrecision(3))}`;
}

/** "a, b and c". */
export function listed(words: readonly string[]): string {
  const last = words.at(-1) ?? '';
  return words.length < 2 ? last : `${words.slice(0, -1).join(', ')} and ${last}`;
}
