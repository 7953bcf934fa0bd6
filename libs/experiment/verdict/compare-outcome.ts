/**
 * An A/B test's figures for one outcome in one arm, beside the stable one: the effect with an interval and a p-value that
 * hold at all looks together, what is still needed to know more, and the conclusion.
 */
import { type ArmSample, balancedUsers, meanOf } from '../sequential/arm-sample.ts';
import { type Conclusion, conclude } from './conclusion.ts';
import { confidenceInterval, criticalZ, logEvidenceOfDifference, type SequenceSize } from '../sequential/confidence-sequence.ts';
import { alwaysValidP, eValueOf } from '../sequential/e-value.ts';
import { differenceOf, type Interval, relativeEffectOf, relativeInterval, zOf } from '../sequential/effect.ts';
import { detectableDifference, neededGrowth, relativeTo, type TestPlan } from './power.ts';

/** The probability with which plans find the minimum effect. */
const PLANNED_POWER = 0.8;

/** An estimate, and the interval that holds the true figure, at all looks together with the probability 1 − alpha. */
export interface Estimate extends Interval {
  readonly estimate: number;
}

export interface OutcomeComparison {
  readonly stable: { readonly users: number; readonly mean: number };
  readonly arm: { readonly users: number; readonly mean: number };
  /** arm − stable, in the outcome's unit; null where nothing varies, so that nothing can be said. */
  readonly difference: Estimate | null;
  /** (arm − stable) / |stable|, from the same test; null as well where the stable mean may be 0. */
  readonly relative: Estimate | null;
  /** Against "no difference", valid at every look. */
  readonly eValue: number;
  readonly pValue: number;
  readonly power: OutcomePower;
  readonly conclusion: Conclusion;
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
  /** How the outcome and the arm are called. */
  readonly name: string;
  readonly armName: string;
  readonly better: 'higher' | 'lower';
  readonly stable: ArmSample;
  readonly arm: ArmSample;
  /** Two-sided. */
  readonly alpha: number;
  /** Relative, above 0. */
  readonly minimumEffect: number;
  /** In which these users came together; the unit is the day. */
  readonly days: number;
}

export function compareOutcome(question: OutcomeQuestion): OutcomeComparison {
  const { stable, arm, alpha } = question;
  const size = { users: balancedUsers(stable.users, arm.users), alpha };
  const difference = differenceOf(stable, arm);
  const logEvidence = logEvidenceOfDifference(zOf(difference), size);
  const compared = {
    stable: { users: stable.users, mean: meanOf(stable) },
    arm: { users: arm.users, mean: meanOf(arm) },
    difference:
      difference.variance === 0
        ? null
        : { estimate: difference.estimate, ...confidenceInterval(difference, size, alpha) },
    relative: difference.variance === 0 ? null : relativeEstimate(stable, arm, size),
    eValue: eValueOf(logEvidence),
    pValue: alwaysValidP(logEvidence),
    power: powerOf(question),
  };
  return { ...compared, conclusion: conclude(question, compared) };
}

function relativeEstimate(stable: ArmSample, arm: ArmSample, size: SequenceSize): Estimate | null {
  const estimate = relativeEffectOf(stable, arm);
  const interval = relativeInterval(stable, arm, criticalZ(size, size.alpha));
  return estimate === null || interval === null ? null : { estimate, ...interval };
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
