/** The shift of the answers: the population stability index of the arms' scores. */
import { balancedUsers } from '../sequential/arm-sample.ts';
import { logEvidenceAbove, oneSidedBounds } from '../sequential/confidence-sequence.ts';
import { type Alphas, evidenceOf, stateOf } from './evidence.ts';
import { figure } from './figure-text.ts';
import type { ArmFigures, Check } from './rollout-figures.ts';
import { conclusionOf } from './share-check.ts';
import { type Histogram, stabilityIndex } from './stability-index.ts';

/** What is custom: an index above it is a large shift. */
const CUSTOMARY_LIMIT = 0.25;

/**
 * Returns the check of the shift. Without a limit in the plan it is told only, against the customary one: a version whose
 * scores have another scale is shifted, and need not be worse.
 */
export function checkShift(planned: number | null, stable: ArmFigures, arm: ArmFigures, alphas: Alphas): Check {
  const limit = planned ?? CUSTOMARY_LIMIT;
  const [ours, theirs] = [histogramOf(stable), histogramOf(arm)];
  const check = { name: 'psi', arm: arm.name, guardrail: planned !== null } as const;
  const told = planned === null ? '; told only' : '';
  const users = { [stable.name]: ours.users, [arm.name]: theirs.users };
  const index = stabilityIndex(ours, theirs);
  if (index === null) {
    // Of a model without a score of 0 to 1 nothing is counted in either arm, and there is nothing to look at.
    const state = sumOf(stable.scores) + sumOf(arm.scores) === 0 ? 'skipped' : 'inconclusive';
    return { ...check, state, figures: { users, margin: limit }, why: 'shift of the scores: no scores were counted' };
  }
  const size = { users: balancedUsers(ours.users, theirs.users), alpha: alphas.notWorse };
  const z = (index.estimate - limit) / Math.sqrt(index.variance);
  const worse = evidenceOf(logEvidenceAbove(z, size), alphas.worse);
  const notWorse = evidenceOf(logEvidenceAbove(-z, size), alphas.notWorse);
  const state = stateOf(worse, notWorse);
  const bounds = oneSidedBounds(index, size, { lower: alphas.worse, upper: alphas.notWorse });
  const interval = { lower: Math.max(0, bounds.lower), upper: Math.max(0, bounds.upper) };
  return {
    ...check,
    state,
    figures: { users, estimate: Math.max(0, index.estimate), ...interval, margin: limit, worse, notWorse },
    why: `shift of the scores: an index of ${figure(Math.max(0, index.estimate))} (${figure(interval.lower)} to ${figure(interval.upper)}) ${conclusionOf(state, figure(limit))} (e-values ${figure(worse.eValue)} and ${figure(notWorse.eValue)})${told}`,
  };
}

function histogramOf(arm: ArmFigures): Histogram {
  return { counts: arm.scores, users: Math.min(arm.users, sumOf(arm.scores)) };
}

function sumOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
