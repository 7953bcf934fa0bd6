/** Guardrails on shares of reads: errors, slow answers, live answers. */

import type { ShareCount } from '../distributions/exact-shares.ts';
import {
  logEvidenceShareAbove,
  logEvidenceShareBelow,
  shareDifference,
  shareInterval,
  shareOf,
} from '../sequential/share-difference.ts';
import { type Alphas, evidenceOf, figure, percent, stateOf } from './evidence.ts';
import type { ArmFigures, Check, CheckState } from './rollout-figures.ts';

/** What a guardrail counts, and how it is called. */
export interface ShareGuardrail {
  readonly name: string;
  readonly words: string;
  readonly margin: number;
  readonly count: (arm: ArmFigures) => number;
}

/** Of reads as of users, of whom there are no more than reads. */
export function countOfUsers(arm: ArmFigures, count: number): ShareCount {
  const users = Math.min(arm.users, arm.reads);
  return { users, events: arm.reads > 0 ? (users * count) / arm.reads : 0 };
}

export function checkShare(guardrail: ShareGuardrail, stable: ArmFigures, arm: ArmFigures, alphas: Alphas): Check {
  const { name, margin, count } = guardrail;
  const pair = { candidate: countOfUsers(arm, count(arm)), stable: countOfUsers(stable, count(stable)) };
  const worse = evidenceOf(logEvidenceShareAbove(pair, margin, alphas.notWorse), alphas.worse);
  const notWorse = evidenceOf(logEvidenceShareBelow(pair, margin, alphas.notWorse), alphas.notWorse);
  const state = stateOf(worse, notWorse);
  const interval = shareInterval(pair, { lower: alphas.worse, upper: alphas.notWorse }, alphas.notWorse);
  const values = { [stable.name]: shareOf(pair.stable), [arm.name]: shareOf(pair.candidate) };
  const compared = `${guardrail.words}: ${percent(shareOf(pair.candidate))} of ${arm.name} and ${percent(shareOf(pair.stable))} of ${stable.name}`;
  const between = `the difference of ${percent(shareDifference(pair))} (${percent(interval.lower)} to ${percent(interval.upper)})`;
  return {
    name,
    arm: arm.name,
    guardrail: true,
    state,
    figures: {
      users: { [stable.name]: pair.stable.users, [arm.name]: pair.candidate.users },
      values,
      estimate: shareDifference(pair),
      ...interval,
      margin,
      worse,
      notWorse,
    },
    why: `${compared}; ${between} ${conclusionOf(state, percent(margin))} (e-values ${figure(worse.eValue)} and ${figure(notWorse.eValue)})`,
  };
}

/** What is said of a figure beside its margin. */
export function conclusionOf(state: CheckState, margin: string): string {
  if (state === 'fail') return `is proven to be above ${margin}`;
  if (state === 'pass') return `is proven to be below ${margin}`;
  return `is not proven to be above or below ${margin}`;
}
