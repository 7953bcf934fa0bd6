/**
 * Checks outcomes as guardrails. An arm fails if it is proven worse than stable by any amount. It passes if a loss as
 * large as the minimum effect is ruled out, whatever the next few users do (rare-values.ts). A smaller loss does not hold
 * a rollout.
 *
 * The evidence is that of a two-sided test, with half of alpha for each direction. If the check fails, the report's
 * interval of the difference excludes 0. If it passes, the relative interval excludes the loss.
 */

import { normalQuantile } from '@tandem/experiment/distributions/normal';
import { confidenceInterval, logEvidenceAbove, type SequenceSize } from '../sequential/confidence-sequence.ts';
import {
  type ArmSample,
  balancedUsers,
  differenceOf,
  type Interval,
  meanOf,
  type SamplePair,
  zOf,
} from '../sequential/effect.ts';
import { type Alphas, evidenceOf, figure, percent, stateOf } from './evidence.ts';
import { largestText, unseenText, unseenUsers, withUnseen } from './rare-values.ts';
import type { ArmFigures, Check, CheckState, Evidence, OutcomeRule } from './rollout-figures.ts';

const NO_USERS: ArmSample = { users: 0, sum: 0, sumOfSquares: 0 };

export function checkOutcome(
  rule: OutcomeRule,
  minUsers: number,
  stable: ArmFigures,
  arm: ArmFigures,
  alphas: Alphas,
): Check {
  const [base, own] = [stable.outcomes[rule.name] ?? NO_USERS, arm.outcomes[rule.name] ?? NO_USERS];
  const check = { name: `outcome:${rule.name}`, arm: arm.name, guardrail: rule.guardrail };
  const users = { [stable.name]: base.users, [arm.name]: own.users };
  const values = { [stable.name]: meanOf(base), [arm.name]: meanOf(own) };
  const difference = differenceOf(base, own);
  const lacking = whatIsLacking(minUsers, [base, own]);
  if (lacking) return { ...check, state: 'inconclusive', figures: { users, values }, why: `${rule.name}: ${lacking}` };

  const size = { users: balancedUsers(base.users, own.users), alpha: alphas.notWorse };
  const better = rule.better === 'higher' ? 1 : -1;
  const { asSeen, least } = logEvidenceOfNoLoss(rule, [base, own], alphas.notWorse);
  const worse = evidenceOf(logEvidenceAbove(-better * zOf(difference), size), alphas.worse / 2);
  const notWorse = evidenceOf(least, alphas.notWorse / 2);
  const state = stateOf(worse, notWorse);
  const bounds = confidenceInterval(difference, size, alphas.notWorse);
  const isWorse = better > 0 ? bounds.upper < 0 : bounds.lower > 0;
  const isUnseen = state === 'inconclusive' && evidenceOf(asSeen, alphas.notWorse / 2).eValue >= notWorse.needed;
  const rest = isUnseen ? `: ${unseenText(unseenUsers([base, own], rule, alphas.notWorse))}` : '';
  const sums = largestText({ [stable.name]: base, [arm.name]: own }, rule);
  const shown = rule.kind === 'binary' ? percent : figure;
  return {
    ...check,
    state,
    figures: { users, values, estimate: difference.estimate, ...bounds, margin: rule.minimumEffect, worse, notWorse },
    why: `${rule.name}: ${shown(meanOf(own))} in ${arm.name} and ${shown(meanOf(base))} in ${stable.name}; the difference of ${differenceText(rule, difference.estimate, bounds)} ${conclusionOf(state, isWorse, worse, rule)}${rest}${sums}`,
  };
}

/** Returns whether two equal versions with these samples pass the check with a probability of at least `power`. */
export function isLikelyToPass(
  rule: OutcomeRule,
  minUsers: number,
  pair: SamplePair,
  alpha: number,
  power: number,
): boolean {
  if (whatIsLacking(minUsers, pair) !== null) return false;
  return logEvidenceOfNoLoss(rule, pair, alpha, normalQuantile(power)).least >= Math.log(2 / alpha);
}

/**
 * Returns ln of the e-value against "the arm loses the minimum effect", of the samples as seen, and the least with
 * unseen users.
 * @param spare the standard errors by which chance may make the arm worse
 */
function logEvidenceOfNoLoss(rule: OutcomeRule, pair: SamplePair, alpha: number, spare = 0) {
  const size = { users: balancedUsers(pair[0].users, pair[1].users), alpha };
  const unseen = withUnseen(pair, unseenUsers(pair, rule, alpha));
  const [asSeen = 0, ...others] = [pair, ...unseen].map((one) => logEvidenceKept(rule, one, size, spare));
  return { asSeen, least: Math.min(asSeen, ...others) };
}

/**
 * Returns ln of the e-value against "the arm loses the minimum effect": it must be proven to keep (or not to exceed) a
 * part of the stable mean, such as 0.98 for a minimum effect of 2 %.
 */
function logEvidenceKept(
  { better, minimumEffect }: OutcomeRule,
  [base, own]: SamplePair,
  size: SequenceSize,
  spare: number,
): number {
  const sign = better === 'higher' ? 1 : -1;
  const kept = differenceOf(base, own, 1 - sign * Math.sign(meanOf(base)) * minimumEffect);
  return logEvidenceAbove(sign * zOf(kept) - spare, size);
}

/** Returns why an outcome cannot be tested; null if it can. */
function whatIsLacking(minUsers: number, [base, own]: SamplePair): string | null {
  const users = Math.min(base.users, own.users);
  if (users < Math.max(2, minUsers)) return `${users} users with an ended window, fewer than ${minUsers}`;
  const { variance } = differenceOf(base, own);
  return variance === 0 ? 'every user has the same value, so nothing can be compared' : null;
}

/**
 * Formats a difference. A difference of shares is in percentage points, since a percentage would be read as the
 * relative effect.
 */
function differenceText({ kind }: OutcomeRule, estimate: number, { lower, upper }: Interval): string {
  const [unit, scale] = kind === 'binary' ? [' points', 100] : ['', 1];
  return `${figure(scale * estimate)}${unit} (${figure(scale * lower)} to ${figure(scale * upper)})`;
}

/**
 * Returns the end of the sentence of a check.
 * @param isWorse whether the whole interval is worse. That alone does not roll back, since alpha is split over all
 * guardrails
 */
function conclusionOf(state: CheckState, isWorse: boolean, worse: Evidence, { minimumEffect }: OutcomeRule): string {
  if (state === 'fail') return 'is proven to be worse';
  if (state === 'pass') return `rules out a loss of ${percent(minimumEffect)} of the stable mean`;
  if (!isWorse) return `does not yet rule out a loss of ${percent(minimumEffect)} of the stable mean`;
  return `is worse, with an e-value of ${figure(worse.eValue)}; a rollback needs ${figure(worse.needed)}`;
}
