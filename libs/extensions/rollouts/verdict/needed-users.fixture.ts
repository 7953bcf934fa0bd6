/** Simulates how many times the users of a single look a sequential test needs to find an effect. */

import { drawBinomial, randomFrom } from '@tandem/experiment/distributions/draws.fixture';
import { logEvidenceAbove, logEvidenceOfDifference } from '../sequential/confidence-sequence.ts';
import { type ArmSample, balancedUsers, differenceOf, zOf } from '../sequential/effect.ts';
import { ALPHA, PARTS } from './simulated-experiments.fixture.ts';

const LOOKS = 28;
const MIN_USERS = 20;

export interface BinaryEffect {
  readonly p: number;
  /** Relative. */
  readonly effect: number;
  /** The arm's share of the users. */
  readonly share: number;
}

/** `ab`: a difference in an A/B test; `canary`: the proof of a guardrail that an arm is worse. */
export type FoundBy = 'ab' | 'canary';

/** Returns the users with which a single look finds the effect with a probability of 0.8 (two-sided, Welch). */
export function singleLookUsers({ p, effect, share }: BinaryEffect): number {
  const other = p * (1 + effect);
  const variance = (p * (1 - p)) / (1 - share) + (other * (1 - other)) / share;
  return ((1.959964 + 0.841621) / (p * effect)) ** 2 * variance;
}

/** Returns how many of the experiments find the effect with this many times the users, in daily looks. */
export function foundWith(times: number, by: FoundBy, one: BinaryEffect, experiments: number): number {
  const random = randomFrom(1);
  const perLook = Math.round((times * singleLookUsers(one)) / LOOKS);
  const count = (users: number, events: number): ArmSample => ({ users, sum: events, sumOfSquares: events });
  const needed = by === 'ab' ? Math.log(1 / ALPHA) : Math.log((2 * PARTS) / ALPHA);
  const isFound = () => {
    let [own, base] = [count(0, 0), count(0, 0)];
    for (let look = 1; look <= LOOKS; look++) {
      const users = Math.round(perLook * one.share * look) - own.users;
      own = count(own.users + users, own.sum + drawBinomial(random, users, one.p * (1 + one.effect)));
      base = count(base.users + perLook - users, base.sum + drawBinomial(random, perLook - users, one.p));
      const z = zOf(differenceOf(base, own));
      const size = { users: balancedUsers(base.users, own.users), alpha: ALPHA };
      const evidence =
        by === 'ab' ? logEvidenceOfDifference(z, size) : logEvidenceAbove(Math.sign(one.effect) * z, size);
      if (Math.min(own.users, base.users) >= MIN_USERS && evidence >= needed) return true;
    }
    return false;
  };
  return Array.from({ length: experiments }).filter(isFound).length;
}
