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
import {
  detectableDifference,
  hasEnough,
  neededGrowth,
  PLANNED_POWER,
  relativeTo,
  type TestPlan,
  uncertain,
} from './power.ts';
import { largestText, type UnseenUsers, unseenText, unseenUsers, withUnseen } from './rare-values.ts';

/** An estimate, and an interval that contains the true value at all looks together with a probability of 1 − alpha. */
interface Estimate extends Interval {
  readonly estimate: number;
}

interface OutcomeMean {
  readonly users: number;
  readonly mean: number;
  /** The value of a user with the greatest amount; 0 if it is not known. */
  readonly largest: number;
}

export interface OutcomeComparison {
  readonly stable: OutcomeMean;
  readonly arm: OutcomeMean;
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
  /** The range of the number of further days, at the current rate of new users; 0 if there are enough users. */
  readonly moreDays: Interval | null;
}

/** The days of users with an ended window that a forecast needs. Users of a day differ from users of an hour. */
const LEAST_DAYS = 1;

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
  /** The days in which these users arrived. Below LEAST_DAYS there is no forecast. */
  readonly days: number;
  /** The greatest amount of a user's value; null or absent if it has no bound. */
  readonly cap?: number | null;
}

export function compareOutcome(question: OutcomeQuestion): OutcomeComparison {
  const { stable, arm, alpha } = question;
  const size = { users: balancedUsers(stable.users, arm.users), alpha };
  const difference = differenceOf(stable, arm);
  const logEvidence = logEvidenceOfDifference(zOf(difference), size);
  const compared = {
    stable: shownMean(stable),
    arm: shownMean(arm),
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

function shownMean(sample: ArmSample): OutcomeMean {
  return { users: sample.users, mean: meanOf(sample), largest: sample.largest ?? 0 };
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
  const growth = wanted > 0 && hasEnough(stable, arm) ? neededGrowth(stable, arm, wanted, plan) : null;
  const more = (times: number) => Math.max(0, Math.ceil((times - 1) * days));
  const between = growth === null ? null : uncertain(growth);
  return {
    detectableEffect: detectable === null ? null : relativeTo(stable, detectable),
    usersNeeded: growth === null ? null : Math.ceil(growth * (stable.users + arm.users)),
    moreDays: between === null || days < LEAST_DAYS ? null : { lower: more(between.lower), upper: more(between.upper) },
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

type ComparedOutcome = Omit<OutcomeComparison, 'conclusion'>;

function conclude(question: OutcomeQuestion, compared: ComparedOutcome): Conclusion {
  const { name, armName, stable, arm, cap = null } = question;
  const unseen = unseenUsers([stable, arm], cap, question.alpha);
  const seen = kindOf(question, compared);
  const isUnseen = seen === 'no_difference' && !staysSmall(question, unseen);
  const kind = isUnseen ? 'undecided' : seen;
  const sums = largestText({ stable, [armName]: arm }, cap);
  const said = (text: string): Conclusion => ({ kind, text: `${name}: ${text}${sums}` });
  switch (kind) {
    case 'better':
    case 'worse':
      return said(`${armName} is ${kind} than stable${shownEffect(compared)}`);
    case 'no_difference':
      return said(`no difference above ${percent(question.minimumEffect)} between ${armName} and stable`);
    case 'undecided':
      return said(
        `not decided between ${armName} and stable; ${
          isUnseen ? `no difference is seen, but ${unseenText(unseen)}` : neededOf(question, compared.power.moreDays)
        }`,
      );
    case 'no_data':
      return said(`nothing to compare between ${armName} and stable yet; ${lackOf(compared)}`);
  }
}

function kindOf({ better, minimumEffect }: OutcomeQuestion, { difference, relative }: ComparedOutcome): ConclusionKind {
  if (difference === null) return 'no_data';
  if (difference.lower > 0) return better === 'higher' ? 'better' : 'worse';
  if (difference.upper < 0) return better === 'higher' ? 'worse' : 'better';
  return isSmall(relative, minimumEffect) ? 'no_difference' : 'undecided';
}

function isSmall(relative: Interval | null, minimumEffect: number): boolean {
  return relative !== null && relative.lower > -minimumEffect && relative.upper < minimumEffect;
}

/** Returns whether the difference stays small with a few more users of the greatest value. */
function staysSmall({ stable, arm, alpha, minimumEffect }: OutcomeQuestion, unseen: UnseenUsers): boolean {
  const critical = criticalZ({ users: balancedUsers(stable.users, arm.users), alpha }, alpha);
  return withUnseen([stable, arm], unseen).every((pair) => isSmall(relativeInterval(...pair, critical), minimumEffect));
}

function shownEffect({ relative }: ComparedOutcome): string {
  return relative === null ? '' : `: ${signedPercent(relative.estimate)}`;
}

function neededOf({ minimumEffect }: OutcomeQuestion, moreDays: Interval | null): string {
  const effect = `a difference of ${percent(minimumEffect)}`;
  if (moreDays === null) return `there is not enough data yet to estimate the time to find ${effect}`;
  const { lower, upper } = moreDays;
  return `${lower === 0 ? 'at most' : `${lower} to`} ${upper} more ${upper === 1 ? 'day' : 'days'} to find ${effect}`;
}

function lackOf({ stable, arm }: ComparedOutcome): string {
  return Math.min(stable.users, arm.users) === 0
    ? 'an arm has no users with an ended window'
    : 'every user has the same value';
}
