/**
 * Compares one outcome of an A/B test in one arm with the stable arm: the effect, with an interval and a p-value that
 * are valid at all looks together; the users still needed; and the conclusion.
 */

import { normalQuantile } from '@tandem/experiment/distributions/normal';
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
  movedTo,
  relativeEffectOf,
  relativeInterval,
  type SamplePair,
  scaledTo,
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
import { largestText, unseenText, unseenUsers, withUnseen } from './rare-values.ts';
import type { OutcomeRule } from './rollout-figures.ts';

/** An estimate, and an interval that contains the true value at all looks together with a probability of 1 − alpha. */
interface Estimate extends Interval {
  readonly estimate: number;
}

/** The days of users with an ended window that a forecast needs. Users of a day differ from users of an hour. */
const LEAST_DAYS = 1;

interface OutcomeQuestion extends Pick<OutcomeRule, 'name' | 'kind' | 'better' | 'minimumEffect' | 'cap'> {
  readonly armName: string;
  readonly stable: ArmSample;
  readonly arm: ArmSample;
  /** Two-sided. */
  readonly alpha: number;
  /** The days in which these users arrived. Below LEAST_DAYS there is no forecast. */
  readonly days: number;
}

export function compareOutcome(question: OutcomeQuestion) {
  const compared = compare(question);
  return { ...compared, conclusion: conclude(question, compared) };
}

function compare(question: OutcomeQuestion) {
  const { stable, arm, alpha } = question;
  const size = { users: balancedUsers(stable.users, arm.users), alpha };
  const difference = differenceOf(stable, arm);
  const logEvidence = logEvidenceOfDifference(zOf(difference), size);
  return {
    stable: shownMean(stable),
    arm: shownMean(arm),
    /** arm − stable, in the outcome's unit; null if all values are equal, so that there is no estimate. */
    difference:
      difference.variance === 0
        ? null
        : { estimate: difference.estimate, ...confidenceInterval(difference, size, alpha) },
    /** (arm − stable) / |stable|, from the same test; also null if the stable mean may be 0. */
    relative: difference.variance === 0 ? null : relativeEstimate(stable, arm, size),
    /** E-value against "no difference", valid at every look. */
    eValue: eValueOf(logEvidence),
    pValue: alwaysValidP(logEvidence),
    power: powerOf(question),
  };
}

/** Returns the mean, and the value of a user with the greatest amount; 0 if it is not known. */
function shownMean(sample: ArmSample) {
  return { users: sample.users, mean: meanOf(sample), largest: sample.largest ?? 0 };
}

function relativeEstimate(stable: ArmSample, arm: ArmSample, size: SequenceSize): Estimate | null {
  const estimate = relativeEffectOf(stable, arm);
  const interval = relativeInterval(stable, arm, criticalZ(size, size.alpha));
  return estimate === null || interval === null ? null : { estimate, ...interval };
}

/** Returns the size of a sequential test that decides with PLANNED_POWER. A figure is null if it cannot be estimated yet. */
function powerOf(question: OutcomeQuestion) {
  const { stable, arm, alpha, days } = question;
  const plan: TestPlan = { alpha, power: PLANNED_POWER, looks: 'sequential' };
  const detectable = detectableDifference(stable, arm, plan);
  const growth = hasEnough(stable, arm) ? neededGrowth((times) => isLikelyToEnd(question, times)) : null;
  const more = (times: number) => Math.max(0, Math.ceil((times - 1) * days));
  const between = growth === null ? null : uncertain(growth);
  return {
    /** The relative effect that can be found with the users so far. */
    detectableEffect: detectable === null ? null : relativeTo(stable, detectable),
    /**
     * The number of users in both arms together that is needed to rule out `minimumEffect` if the arms are equal. Fewer
     * usually find an effect of this size.
     */
    usersNeeded: growth === null ? null : Math.ceil(growth * (stable.users + arm.users)),
    /** The range of the number of further days, at the current rate of new users; 0 if there are enough users. */
    moreDays: between === null || days < LEAST_DAYS ? null : { lower: more(between.lower), upper: more(between.upper) },
  };
}

/** Chance may move the estimate to either side by this number of standard errors. */
const SPARE = normalQuantile((1 + PLANNED_POWER) / 2);

/** Returns whether equal arms with this multiple of the users end with `no_difference` with PLANNED_POWER. */
function isLikelyToEnd(question: OutcomeQuestion, times: number): boolean {
  const [stable, arm] = [question.stable, question.arm].map((one) => scaledTo(times * one.users, one));
  if (!stable || !arm) return false;
  const pair = [stable, movedTo(meanOf(stable), arm)] as const;
  return differenceOf(...pair).variance > 0 && staysSmall(question, pair, SPARE);
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

type ComparedOutcome = ReturnType<typeof compare>;

function conclude(question: OutcomeQuestion, compared: ComparedOutcome): Conclusion {
  const { name, armName, stable, arm } = question;
  const seen = kindOf(question, compared);
  const isUnseen = seen === 'no_difference' && !staysSmall(question, [stable, arm]);
  const unseen = isUnseen
    ? `no difference is seen, but ${unseenText(unseenUsers([stable, arm], question, question.alpha))}; `
    : '';
  const kind = isUnseen ? 'undecided' : seen;
  const sums = largestText({ stable, [armName]: arm }, question);
  const said = (text: string): Conclusion => ({ kind, text: `${name}: ${text}${sums}` });
  switch (kind) {
    case 'better':
    case 'worse':
      return said(`${armName} is ${kind} than stable${shownEffect(compared)}`);
    case 'no_difference':
      return said(`no difference above ${percent(question.minimumEffect)} between ${armName} and stable`);
    case 'undecided':
      return said(`not decided between ${armName} and stable; ${unseen}${neededOf(question, compared.power.moreDays)}`);
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

/**
 * Returns whether the difference is small, as seen and with a few more users of the greatest value.
 * @param spare the standard errors by which chance may move it
 */
function staysSmall(question: OutcomeQuestion, pair: SamplePair, spare = 0): boolean {
  const { alpha, minimumEffect } = question;
  const critical = criticalZ({ users: balancedUsers(pair[0].users, pair[1].users), alpha }, alpha) + spare;
  const pairs = [pair, ...withUnseen(pair, unseenUsers(pair, question, alpha))];
  return pairs.every((one) => isSmall(relativeInterval(...one, critical), minimumEffect));
}

function shownEffect({ relative }: ComparedOutcome): string {
  return relative === null ? '' : `: ${signedPercent(relative.estimate)}`;
}

function neededOf({ minimumEffect }: OutcomeQuestion, moreDays: Interval | null): string {
  const effect = `to find or rule out a difference of ${percent(minimumEffect)}`;
  if (moreDays === null) return `there is not enough data yet to estimate the time ${effect}`;
  const { lower, upper } = moreDays;
  return `${lower === 0 ? 'at most' : `${lower} to`} ${upper} more ${upper === 1 ? 'day' : 'days'} ${effect}`;
}

function lackOf({ stable, arm }: ComparedOutcome): string {
  return Math.min(stable.users, arm.users) === 0
    ? 'an arm has no users with an ended window'
    : 'every user has the same value';
}
