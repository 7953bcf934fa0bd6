/** Derives the state of a check from its evidence, by the same rule for every guardrail. */
import { alwaysValidP, eValueOf } from '../sequential/confidence-sequence.ts';
import type { CheckState, Evidence } from './rollout-figures.ts';

/**
 * The levels of proof. `worse` is a guardrail's share of the plan's alpha, since any single guardrail rolls a rollout
 * back. `notWorse` is the undivided alpha, since a promotion needs proof for all guardrails (an intersection–union
 * test: R. L. Berger, Technometrics 24, 1982). A version that is worse in one guardrail passes with a probability of at
 * most alpha.
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

// Formats numbers for the sentences of checks, with three digits.

/** Formats a share from 0 to 1. */
export function percent(share: number): string {
  return `${figure(100 * share)} %`;
}

/** Formats a relative change, which is at least -1, with its sign. */
export function signedPercent(change: number): string {
  return `${change > 0 ? '+' : ''}${percent(change)}`;
}

export function figure(value: number): string {
  if (value !== 0 && (Math.abs(value) < 0.001 || Math.abs(value) >= 1e6)) return value.toExponential(1);
  return `${Number(value.toPrecision(3))}`;
}

/** Joins words as in "a, b and c". */
export function listed(words: readonly string[]): string {
  const last = words.at(-1) ?? '';
  return words.length < 2 ? last : `${words.slice(0, -1).join(', ')} and ${last}`;
}
