/**
 * Estimates, before a canary serves users, how many users the outcomes of its plan need, and which steps the reads of a
 * week can decide. The estimates ask the check that decides the verdict (outcome-check.ts).
 */

import type { CanaryPlan, OutcomeMetric, RolloutPlan } from '@tandem/freshness/rollout';
import { type ArmSample, scaledTo } from '../sequential/effect.ts';
import { figure, percent } from '../verdict/evidence.ts';
import { isLikelyToPass } from '../verdict/outcome-check.ts';
import { hasEnough, neededGrowth, PLANNED_POWER, uncertain } from '../verdict/power.ts';

/** Facts about the users that are read. Reads of all predictors count. */
export interface ReadUsers {
  /** The number of users that will be read within `decidedWithin`. */
  readonly users: number;
  /** For each metric, the values of some of these users over the last window. */
  readonly samples: readonly ArmSample[];
}

const DAY_MS = 86_400_000;
/** The time in which a step without a deadline should be decided. */
const WEEK_MS = 7 * DAY_MS;

/** Returns the outcomes that a canary must prove in each step below 100 %. */
export function provenOutcomes(plan: RolloutPlan): readonly OutcomeMetric[] {
  if (plan.kind !== 'canary' || (plan.steps[0] ?? 100) >= 100) return [];
  return plan.analysis.outcomes.filter(({ guardrail }) => guardrail);
}

/** Returns the time in ms in which a step should be decided. */
export function decidedWithin({ analysis }: CanaryPlan): number {
  return analysis.holdDeadlineMs ?? WEEK_MS;
}

/** Returns a sentence on each of `provenOutcomes`. */
export function outcomeNeeds(plan: CanaryPlan, { users, samples }: ReadUsers): readonly string[] {
  return provenOutcomes(plan).map((metric, no) => {
    const sample = samples[no];
    const unknown = `${metric.name}: there is not enough data to estimate the users that a step needs`;
    if (!sample || !hasEnough(sample)) return unknown;
    const isDecided = (step: number, by: number) => {
      const pair = [scaledTo(by * (1 - step / 100), sample), scaledTo(by * (step / 100), sample)] as const;
      return isLikelyToPass(metric, plan.analysis.minUsers, pair, plan.analysis.alpha, PLANNED_POWER);
    };
    const [hardest] = plan.steps
      .filter((step) => step < 100)
      .map((step) => ({ step, growth: neededGrowth((growth) => isDecided(step, growth * sample.users)) ?? Infinity }))
      .sort((a, b) => b.growth - a.growth);
    if (!hardest || hardest.growth === Infinity) {
      return `${metric.name}: no number of users is enough to rule out a loss of ${percent(metric.minimumEffect)}: raise minimumEffect (--minimum-effect)`;
    }
    const needed = hardest.growth * sample.users;
    const { lower, upper } = uncertain(needed);
    const proof = `${metric.name}: to rule out a loss of ${percent(metric.minimumEffect)}, the step of ${hardest.step} % needs about ${count(needed)} users (${count(lower)} to ${count(upper)})`;
    const read = `about ${count(users)} users are read in ${figure(decidedWithin(plan) / DAY_MS)} days`;
    return `${proof}; ${read}${choiceOf(plan.steps, (step) => isDecided(step, users))}`;
  });
}

/** Returns the end of the sentence: the steps that the read users can decide. Empty if they can decide all. */
function choiceOf(steps: readonly number[], isDecided: (step: number) => boolean): string {
  const kept = steps.filter((step) => step === 100 || isDecided(step));
  if (kept.length === steps.length) return '';
  const possible = Array.from({ length: 99 }, (_, i) => i + 1).filter(isDecided);
  const [least, most] = [possible[0], possible.at(-1)];
  if (least === undefined)
    return ', which are too few for any step: raise minimumEffect (--minimum-effect) or the hold deadline (--hold-deadline)';
  const first = kept[0] === steps[0] ? [] : [least];
  const proposed = [...new Set([...first, ...kept])].sort((a, b) => a - b);
  return `; they can decide steps from ${least} % to ${most} %, such as --steps ${proposed.join()}`;
}

/** Formats a number of users with two digits, since it is an estimate. */
function count(users: number): string {
  return Number(users.toPrecision(2)).toLocaleString('en');
}
