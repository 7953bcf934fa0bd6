/**
 * An A/B test's figures for one outcome in one arm, beside the stable one: the effect with an interval and a p-value that
 * hold however often one looks, those of the single look for comparison, and what is still needed to know more.
 */
import { type ArmSample, balancedUsers, meanOf } from './arm-sample.ts';
import { confidenceInterval, type Interval, informationOf, logEvidenceOfDifference } from './confidence-sequence.ts';
import { alwaysValidP, eValueOf } from './e-value.ts';
import { differenceOf, type Effect, relativeEffectOf, zOf } from './effect.ts';
import { type FixedHorizonResult, fixedHorizonTest } from './fixed-horizon-test.ts';
import { detectableDifference, neededGrowth, relativeTo, type TestPlan } from './power.ts';

/** The probability with which plans find the minimum effect. */
export const PLANNED_POWER = 0.8;

/** An estimate, and the interval in which the true figure is, at all looks together with the probability 1 − alpha. */
export interface Estimate extends Interval {
  readonly estimate: number;
}

export interface OutcomeComparison {
  readonly stable: { readonly users: number; readonly mean: number };
  readonly arm: { readonly users: number; readonly mean: number };
  /** arm − stable, in the outcome's unit; null where nothing varies, so that nothing can be said. */
  readonly difference: Estimate | null;
  /** (arm − stable) / |stable|; null as well where the stable mean is 0. */
  readonly relative: Estimate | null;
  /** Against "no difference", valid at every look. */
  readonly eValue: number;
  readonly pValue: number;
  /** As if this were the only look; null where an arm has fewer than two users, or nothing varies. */
  readonly fixedHorizon: FixedHorizonResult | null;
  readonly power: OutcomePower;
}

/** For a sequential test that finds the effect with PLANNED_POWER; each null where nothing can be said of it yet. */
export interface OutcomePower {
  /** The relative effect that the users seen so far would find. */
  readonly detectableEffect: number | null;
  /** Users of both arms together that would find `minimumEffect`. */
  readonly usersNeeded: number | null;
  /** With as many new users a day as so far; 0 where there are enough. */
  readonly moreDays: number | null;
}

export interface OutcomeQuestion {
  readonly stable: ArmSample;
  readonly arm: ArmSample;
  /** Two-sided. */
  readonly alpha: number;
  /** Relative, above 0. */
  readonly minimumEffect: number;
  /** Since the first user was exposed; the unit is the day. */
  readonly days: number;
}

export function compareOutcome(question: OutcomeQuestion): OutcomeComparison {
  const { stable, arm, alpha } = question;
  const information = informationOf(balancedUsers(stable.users, arm.users), alpha);
  const difference = differenceOf(stable, arm);
  const relative = relativeEffectOf(stable, arm);
  const logEvidence = logEvidenceOfDifference(zOf(difference), information);
  const estimated = (effect: Effect | null): Estimate | null =>
    effect === null || effect.variance === 0 || information === 0
      ? null
      : { estimate: effect.estimate, ...confidenceInterval(effect, information, alpha) };
  return {
    stable: { users: stable.users, mean: meanOf(stable) },
    arm: { users: arm.users, mean: meanOf(arm) },
    difference: estimated(difference),
    relative: estimated(relative),
    eValue: eValueOf(logEvidence),
    pValue: alwaysValidP(logEvidence),
    fixedHorizon: fixedHorizonTest(stable, arm, alpha),
    power: powerOf(question),
  };
}

function powerOf({ stable, arm, alpha, minimumEffect, days }: OutcomeQuestion): OutcomePower {
  const plan: TestPlan = { alpha, power: PLANNED_POWER, looks: 'sequential' };
  const detectable = detectableDifference(stable, arm, plan);
  const wanted = minimumEffect * Math.abs(meanOf(stable));
  const growth = wanted > 0 ? neededGrowth(stable, arm, wanted, plan) : null;
  return {
    detectableEffect: detectable === null ? null : relativeTo(stable, detectable),
    usersNeeded: growth === null ? null : Math.ceil(growth * (stable.users + arm.users)),
    moreDays: growth === null || days <= 0 ? null : Math.max(0, Math.ceil((growth - 1) * days)),
  };
}
