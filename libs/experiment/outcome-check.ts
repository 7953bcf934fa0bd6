/**
 * Outcomes as guardrails. An arm fails where it is proven worse than stable at all, and passes where a loss as large as the
 * minimum effect is ruled out: between the two lies what is not worth holding a rollout for.
 */
import { type ArmSample, balancedUsers, meanOf } from './arm-sample.ts';
import { informationOf, logEvidenceAbove, oneSidedBounds } from './confidence-sequence.ts';
import { differenceOf, zOf } from './effect.ts';
import { type Alphas, evidenceOf, stateOf } from './evidence.ts';
import { figure, percent } from './figure-text.ts';
import type { ArmFigures, Check, CheckState, OutcomeRule } from './rollout-figures.ts';
import { EVENTS_FOR_NORMAL } from './share-difference.ts';

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
  const tooFew = whyTooFew(rule, minUsers, [base, own]);
  if (tooFew) return { ...check, state: 'inconclusive', figures: { users, values }, why: `${rule.name}: ${tooFew}` };

  const information = informationOf(balancedUsers(base.users, own.users), alphas.notWorse);
  const difference = differenceOf(base, own);
  const better = rule.better === 'higher' ? 1 : -1;
  // What of the stable mean an arm must be proven to keep (or not to exceed): 0.98 of it for a minimum effect of 2 %.
  const kept = differenceOf(base, own, 1 - better * Math.sign(meanOf(base)) * rule.minimumEffect);
  const worse = evidenceOf(logEvidenceAbove(-better * zOf(difference), information), alphas.worse);
  const notWorse = evidenceOf(logEvidenceAbove(better * zOf(kept), information), alphas.notWorse);
  const state = stateOf(worse, notWorse);
  const [lower, upper] = better > 0 ? [alphas.notWorse, alphas.worse] : [alphas.worse, alphas.notWorse];
  const bounds = oneSidedBounds(difference, information, { lower, upper });
  const shown = rule.kind === 'binary' ? percent : figure;
  return {
    ...check,
    state,
    figures: { users, values, estimate: difference.estimate, ...bounds, margin: rule.minimumEffect, worse, notWorse },
    why: `${rule.name}: ${shown(meanOf(own))} of ${arm.name} and ${shown(meanOf(base))} of ${stable.name}; the difference of ${shown(difference.estimate)} (${shown(bounds.lower)} to ${shown(bounds.upper)}) ${conclusionOf(state, rule)}`,
  };
}

/** null: there are enough. */
function whyTooFew(rule: OutcomeRule, minUsers: number, samples: readonly ArmSample[]): string | null {
  const users = Math.min(...samples.map((sample) => sample.users));
  if (users < Math.max(2, minUsers)) return `${users} users with a window that is over, fewer than ${minUsers}`;
  if (rule.kind === 'sum') return null;
  const events = Math.min(...samples.flatMap((sample) => [sample.sum, sample.users - sample.sum]));
  return events < EVENTS_FOR_NORMAL ? `fewer than ${EVENTS_FOR_NORMAL} users with it or without it in an arm` : null;
}

function conclusionOf(state: CheckState, { minimumEffect }: OutcomeRule): string {
  if (state === 'fail') return 'is proven to be worse';
  if (state === 'pass') return `is proven not to be worse by ${percent(minimumEffect)} of it`;
  return `does not yet rule out a loss of ${percent(minimumEffect)} of it`;
}
