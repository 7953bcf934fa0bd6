/**
 * Outcomes as guardrails. An arm fails if it is proven worse than stable at all. It passes if a loss as large as the
 * minimum effect is ruled out. Between the two lie differences that are not worth holding a rollout for.
 *
 * The evidence is that of a two-sided test, half of each alpha for a direction. So the interval of the difference in a
 * report excludes 0 if the check fails, and the relative interval excludes the loss if it passes.
 */

import { confidenceInterval, logEvidenceAbove } from '../sequential/confidence-sequence.ts';
import { type ArmSample, balancedUsers, differenceOf, type Interval, meanOf, zOf } from '../sequential/effect.ts';
import { type Alphas, evidenceOf, figure, percent, stateOf } from './evidence.ts';
import type { ArmFigures, Check, CheckState, Evidence, OutcomeRule } from './rollout-figures.ts';

const NOBODY: ArmSample = { users: 0, sum: 0, sumOfSquares: 0 };

export function checkOutcome(
  rule: OutcomeRule,
  minUsers: number,
  stable: ArmFigures,
  arm: ArmFigures,
  alphas: Alphas,
): Check {
  const [base, own] = [stable.outcomes[rule.name] ?? NOBODY, arm.outcomes[rule.name] ?? NOBODY];
  const check = { name: `outcome:${rule.name}`, arm: arm.name, guardrail: rule.guardrail };
  const users = { [stable.name]: base.users, [arm.name]: own.users };
  const values = { [stable.name]: meanOf(base), [arm.name]: meanOf(own) };
  const difference = differenceOf(base, own);
  const lacking = whatIsLacking(minUsers, base, own, difference.variance);
  if (lacking) return { ...check, state: 'inconclusive', figures: { users, values }, why: `${rule.name}: ${lacking}` };

  const size = { users: balancedUsers(base.users, own.users), alpha: alphas.notWorse };
  const better = rule.better === 'higher' ? 1 : -1;
  // What of the stable mean an arm must be proven to keep (or not to exceed): 0.98 of it for a minimum effect of 2 %.
  const kept = differenceOf(base, own, 1 - better * Math.sign(meanOf(base)) * rule.minimumEffect);
  const worse = evidenceOf(logEvidenceAbove(-better * zOf(difference), size), alphas.worse / 2);
  const notWorse = evidenceOf(logEvidenceAbove(better * zOf(kept), size), alphas.notWorse / 2);
  const state = stateOf(worse, notWorse);
  const bounds = confidenceInterval(difference, size, alphas.notWorse);
  const isWorse = better > 0 ? bounds.upper < 0 : bounds.lower > 0;
  const shown = rule.kind === 'binary' ? percent : figure;
  return {
    ...check,
    state,
    figures: { users, values, estimate: difference.estimate, ...bounds, margin: rule.minimumEffect, worse, notWorse },
    why: `${rule.name}: ${shown(meanOf(own))} of ${arm.name} and ${shown(meanOf(base))} of ${stable.name}; the difference of ${differenceText(rule, difference.estimate, bounds)} ${conclusionOf(state, isWorse, worse, rule)}`,
  };
}

/** Null: there is enough to test. */
function whatIsLacking(minUsers: number, base: ArmSample, own: ArmSample, variance: number): string | null {
  const users = Math.min(base.users, own.users);
  if (users < Math.max(2, minUsers)) return `${users} users with a window that is over, fewer than ${minUsers}`;
  return variance === 0 ? 'every user has the same value, so nothing can be compared' : null;
}

/** In points where it is one of shares: a percentage would be taken for the relative effect. */
function differenceText({ kind }: OutcomeRule, estimate: number, { lower, upper }: Interval): string {
  const [unit, scale] = kind === 'binary' ? [' points', 100] : ['', 1];
  return `${figure(scale * estimate)}${unit} (${figure(scale * lower)} to ${figure(scale * upper)})`;
}

/** @param isWorse whether the whole interval is worse, which alone is no rollback: alpha is split over all guardrails */
function conclusionOf(state: CheckState, isWorse: boolean, worse: Evidence, { minimumEffect }: OutcomeRule): string {
  if (state === 'fail') return 'is proven to be worse';
  if (state === 'pass') return `is proven not to be worse by ${percent(minimumEffect)} of it`;
  if (!isWorse) return `does not yet rule out a loss of ${percent(minimumEffect)} of it`;
  return `is worse, with an e-value of ${figure(worse.eValue)}; a rollback needs ${figure(worse.needed)}`;
}
