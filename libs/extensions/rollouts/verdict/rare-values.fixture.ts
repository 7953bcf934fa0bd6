/** Simulates arms that lose rare users with large values, or gain rare users with large negative values. */
import {
  addSamples,
  drawBinomial,
  drawSample,
  type Random,
  randomFrom,
} from '@tandem/experiment/distributions/draws.fixture';
import type { ArmSample } from '../sequential/effect.ts';
import { compareOutcome } from './compare-outcome.ts';
import { checkOutcome } from './outcome-check.ts';
import type { OutcomeRule } from './rollout-figures.ts';
import { ALPHA, armWith, CANARY_ALPHAS, NO_USERS } from './simulated-experiments.fixture.ts';

export interface RareLoss {
  /** The distribution of all other users' values: normal. */
  readonly mean: number;
  readonly deviation: number;
  /** The value of a rare user. Only stable has such users if it is positive, and only the arm if it is negative. */
  readonly value: number;
  /** Their share of the users. */
  readonly rate: number;
  readonly share: number;
  readonly usersPerLook: number;
  readonly cap?: number;
  /** Whether the largest values are hidden from the verdict, so that only the values seen count. */
  readonly isHidden?: boolean;
  readonly experiments?: number;
  readonly looks?: number;
}

const MIN_USERS = 200;
export const RULE: OutcomeRule = {
  name: 'spent',
  kind: 'sum',
  better: 'higher',
  guardrail: true,
  minimumEffect: 0.1,
};

/** The parts of a question that do not depend on the samples. */
export const ASKED = { ...RULE, armName: 'b', alpha: ALPHA, days: 10 };

/** Returns the rate of users with this value that make a tenth of the mean. */
export function rateOfATenth(mean: number, value: number): number {
  return mean / 9 / value;
}

function drawUsers(random: Random, users: number, rate: number, { mean, deviation, ...loss }: RareLoss): ArmSample {
  const value = Math.sign(loss.value) * Math.min(Math.abs(loss.value), loss.cap ?? Number.POSITIVE_INFINITY);
  const rare = drawBinomial(random, users, rate);
  const others = drawSample(random, Math.max(2, users - rare), mean, deviation);
  // About the largest of these users, whose values are not drawn one by one.
  const own = { ...others, largest: mean + 3 * deviation };
  return addSamples(own, { users: rare, sum: rare * value, sumOfSquares: rare * value ** 2, largest: rare && value });
}

const hidden = ({ users, sum, sumOfSquares }: ArmSample): ArmSample => ({ users, sum, sumOfSquares });

/** Returns the share of experiments that ever rule out the loss, as a guardrail or as a conclusion of an A/B test. */
export function everRuledOut(loss: RareLoss, by: 'guardrail' | 'conclusion', seed: number): number {
  const { share, usersPerLook, rate, cap = null, isHidden = false, experiments = 200, looks = 60 } = loss;
  const random = randomFrom(seed);
  const isRuledOut = (stable: ArmSample, arm: ArmSample) => {
    if (by === 'conclusion') return compareOutcome({ ...ASKED, cap, stable, arm }).conclusion.kind === 'no_difference';
    const arms = [armWith('stable', 'spent', stable), armWith('b', 'spent', arm)] as const;
    return checkOutcome({ ...RULE, cap }, MIN_USERS, ...arms, CANARY_ALPHAS).state === 'pass';
  };
  const ruledOut = Array.from({ length: experiments }).filter(() => {
    let [stable, arm] = [NO_USERS, NO_USERS];
    for (let look = 0; look < looks; look++) {
      const users = Math.max(2, drawBinomial(random, usersPerLook, share));
      arm = addSamples(arm, drawUsers(random, users, loss.value < 0 ? rate : 0, loss));
      stable = addSamples(stable, drawUsers(random, usersPerLook - users, loss.value < 0 ? 0 : rate, loss));
      const [one, other] = isHidden ? [hidden(stable), hidden(arm)] : [stable, arm];
      if (Math.min(stable.users, arm.users) >= MIN_USERS && isRuledOut(one, other)) return true;
    }
    return false;
  });
  return ruledOut.length / experiments;
}
