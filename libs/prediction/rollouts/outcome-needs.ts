/**
 * Estimates, before a canary serves users, how many users the outcomes of its plan need, and which steps the reads of a
 * week can decide. A verdict "not worse" in a step with a share s of the users needs 1 / (2 s (1 − s)) times the users
 * that each of two equal arms needs.
 */
import { type ArmSample, meanOf } from '@tandem/experiment/sequential/effect';
import { figure, percent } from '@tandem/experiment/verdict/evidence';
import { hasEnough, neededGrowth, PLANNED_POWER, uncertain } from '@tandem/experiment/verdict/power';
import type { CanaryPlan, OutcomeMetric, RolloutPlan } from '@tandem/freshness/rollout';

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
    const perArm = usersPerArm(metric, samples[no], plan.analysis.alpha);
    if (perArm === null) return `${metric.name}: there is not enough data to estimate the users that a step needs`;
    const [first = 100] = plan.steps;
    const needed = usersOf(perArm, first);
    const { lower, upper } = uncertain(needed);
    const proof = `${metric.name}: to rule out a loss of ${percent(metric.minimumEffect)}, the step of ${first} % needs about ${count(needed)} users (${count(lower)} to ${count(upper)})`;
    return `${proof}; about ${count(users)} users are read in ${figure(decidedWithin(plan) / DAY_MS)} days${choiceOf(plan.steps, perArm, users)}`;
  });
}

function usersPerArm({ minimumEffect }: OutcomeMetric, sample: ArmSample | undefined, alpha: number): number | null {
  if (!sample || !hasEnough(sample)) return null;
  const wanted = minimumEffect * Math.abs(meanOf(sample));
  const growth = neededGrowth(sample, sample, wanted, { alpha, power: PLANNED_POWER, looks: 'sequential' });
  return growth === null ? null : growth * sample.users;
}

function usersOf(perArm: number, step: number): number {
  return perArm / (2 * (step / 100) * (1 - step / 100));
}

/** Returns the end of the sentence: the steps that so many users can decide. */
function choiceOf([first = 100, ...others]: readonly number[], perArm: number, read: number): string {
  if (usersOf(perArm, first) <= read) return '';
  if (usersOf(perArm, 50) > read) return ', which are too few for any step: raise minimumEffect or the hold deadline';
  const least = Math.ceil(50 * (1 - Math.sqrt(1 - (2 * perArm) / read)));
  return `; they can decide steps from ${least} % on, such as --steps ${[least, ...others.filter((step) => step > least)].join()}`;
}

/** Formats a number of users with two digits, since it is an estimate. */
function count(users: number): string {
  return Number(users.toPrecision(2)).toLocaleString('en');
}
