/**
 * Compares one outcome of an A/B test in one arm with the stable arm: the effect, with an interval and a p-value that
 * are valid at all looks together; the users still needed; and the conclusion.
 */

import {
  alwaysValidP,
  confidenceInterval,
  criticalZ,
  eValueOf,
  logEvidenceOfDifference,
  type SequenceSize,
} from '../sequential/confidence-sequence.ts';
import {
  type ArmSample,
  balancedUsers,
  differenceOf,
  type Interval,
  meanOf,
  relativeEffectOf,
  relativeInterval,
  zOf,
} from '../sequential/effect.ts';
import { percent, signedPercent } from './evidence.ts';
import { detectableDifference, neededGrowth, relativeTo, type TestPlan } from './power.ts';

/** The probability of finding the minimum effect that plans assume. */
const PLANNED_POWER = 0.8;

/** An estimate, and an interval that contains the true value at all looks together with a probability of 1 − alpha. */
interface Estimate extends Interval {
  readonly estimate: number;
}

export interface OutcomeComparison {
  readonly stable: { readonly users: number; readonly mean: number };
  readonly arm: { readonly users: number; readonly mean: number };
  /** arm − stable, in the outcome's unit; null if all values are equal, so that there is no estimate. */
  readonly difference: Estimate | null;
  /** (arm − stable) / |stable|, from the same test; also null if the stable mean may be 0. */
  readonly relative: Estimate | null;
  /** E-value against "no difference", valid at every look. */
  readonly eValue: number;
  readonly pValue: number;
  readonly power: OutcomePower;
  readonly conclusion: Conclusion;
}

/**
 * The size of a sequential test that finds the effect with PLANNED_POWER. A figure is null if it cannot be estimated
 * yet.
 */
interface OutcomePower {
  /** The relative effect that can be found with the users so far. */
  readonly detectableEffect: number | null;
  /** The number of users in both arms together that is needed to find `minimumEffect`. */
  readonly usersNeeded: number | null;
  /** The number of further days, at the current rate of new users; 0 if there are enough users. */
  readonly moreDays: number | null;
}

interface OutcomeQuestion {
  /** The name of the outcome. `armName` is the name of the arm. */
  readonly name: string;
  readonly armName: string;
  readonly better: 'higher' | 'lower';
  readonly stable: ArmSample;
  readonly arm: ArmSample;
  /** Two-sided. */
  readonly alpha: number;
  /** The relative effect to find, above 0. */
  readonly minimumEffect: number;
  /** The days in which these users arrived. */
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

// The conclusion from an outcome's comparison, as a sentence. An A/B test ends with it.

/**
 * - `better`, `worse`: the interval of the difference excludes 0
 * - `no_difference`: any difference is smaller than the minimum effect
 * - `undecided`: neither is proven yet; `no_data`: there is nothing to compare
 */
type ConclusionKind = 'better' | 'worse' | 'no_difference' | 'undecided' | 'no_data';

interface Conclusion {
  readonly kind: ConclusionKind;
  /** The conclusion in one sentence. It does not repeat the interval, which is printed with the figures. */
  readonly text: string;
}

interface ConclusionQuestion {
  readonly name: string;
  readonly armName: string;
  readonly better: 'higher' | 'lower';
  readonly minimumEffect: number;
}

/** The result of `compareOutcome`. */
interface ComparedOutcome {
  readonly stable: { readonly users: number };
  readonly arm: { readonly users: number };
  readonly difference: Interval | null;
  readonly relative: (Interval & { readonly estimate: number }) | null;
  readonly power: { readonly moreDays: number | null };
}

function conclude(question: ConclusionQuestion, compared: ComparedOutcome): Conclusion {
  const { name, armName } = question;
  const kind = kindOf(question, compared);
  const said = (text: string): Conclusion => ({ kind, text: `${name}: ${text}` });
  switch (kind) {
    case 'better':
    case 'worse':
      return said(`${armName} is ${kind} than stable${shownEffect(compared)}`);
    case 'no_difference':
      return said(`no difference above ${percent(question.minimumEffect)} between ${armName} and stable`);
    case 'undecided':
      return said(`not decided between ${armName} and stable; ${neededOf(question, compared.power.moreDays)}`);
    case 'no_data':
      return said(`nothing to compare between ${armName} and stable yet; ${lackOf(compared)}`);
  }
}

function kindOf({ better, minimumEffect }: ConclusionQuestion, compared: ComparedOutcome): ConclusionKind {
  const { difference, relative } = compared;
  if (difference === null) return 'no_data';
  if (difference.lower > 0) return better === 'higher' ? 'better' : 'worse';
  if (difference.upper < 0) return better === 'higher' ? 'worse' : 'better';
  const isSmall = relative !== null && relative.lower > -minimumEffect && relative.upper < minimumEffect;
  return isSmall ? 'no_difference' : 'undecided';
}

function shownEffect({ relative }: ComparedOutcome): string {
  return relative === null ? '' : `: ${signedPercent(relative.estimate)}`;
}

function neededOf({ minimumEffect }: ConclusionQuestion, moreDays: number | null): string {
  const effect = `a difference of ${percent(minimumEffect)}`;
  if (moreDays === null) return `the time to find ${effect} cannot be estimated: the mean of the stable arm is near 0`;
  if (moreDays === 0) return `these users are enough to detect ${effect}; a smaller effect takes longer`;
  return `about ${moreDays} more ${moreDays === 1 ? 'day' : 'days'} to find ${effect}`;
}

function lackOf({ stable, arm }: ComparedOutcome): string {
  return Math.min(stable.users, arm.users) === 0
    ? 'an arm has no users with an ended window'
    : 'every user has the same value';
}
