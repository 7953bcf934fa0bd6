/** Checks whether there is enough to judge, and whether the arms are samples of the same users. */

import { logGamma } from '@tandem/experiment/distributions/gamma';
import { alwaysValidP, logOfMean } from '../sequential/confidence-sequence.ts';
import { evidenceOf, figure, listed, percent } from './evidence.ts';
import type { ArmFigures, Check, CheckState, Evidence, JudgingRules, RolloutFigures } from './rollout-figures.ts';
import { countOfUsers } from './share-check.ts';

/**
 * The allowed difference of the arms' shares of a source. The newer of two generations is always a little fresher, and
 * with enough users any difference is proven. Only a large difference makes a comparison worthless.
 */
const SOURCE_TOLERANCE = 0.02;

/** The smallest effective `minUsers` of a plan, since very few users give no usable evidence. */
const FEWEST_USERS = 20;

export function checkTraffic({ stable, arms }: RolloutFigures): Check {
  const all = [stable, ...arms];
  const silent = all.filter((arm) => arm.users === 0 || arm.reads === 0).map((arm) => arm.name);
  const seen = arms.length > 0 && silent.length === 0;
  const why = seen ? 'every arm is read' : `no traffic since the step began: ${listed(silent) || 'there is no arm'}`;
  return ofAll('traffic', seen ? 'pass' : 'fail', all, why);
}

export function checkUsers({ stable, arms }: RolloutFigures, minUsers: number): Check {
  const all = [stable, ...arms];
  const needed = Math.max(minUsers, FEWEST_USERS);
  // An exposure may have been stored without its read.
  const few = all.filter((arm) => Math.min(arm.users, arm.reads) < needed);
  const counted = listed(few.map((arm) => `${Math.min(arm.users, arm.reads)} in ${arm.name}`));
  const why =
    few.length > 0 ? `too few users: ${counted}; each arm needs ${needed}` : `at least ${needed} users in every arm`;
  return ofAll('users', few.length > 0 ? 'fail' : 'pass', all, why);
}

export function checkSampleRatio({ stable, arms }: RolloutFigures): Check {
  const all = [stable, ...arms];
  const worse = evidenceOf(logEvidenceOfMismatch(all), SAMPLE_RATIO_ALPHA);
  const weights = all.reduce((sum, arm) => sum + arm.weight, 0);
  const users = all.reduce((sum, arm) => sum + arm.users, 0);
  const parts = all.map(
    (arm) => `${arm.name} ${percent(arm.users / users)} of the users (assigned ${percent(arm.weight / weights)})`,
  );
  const state = worse.eValue >= worse.needed ? 'fail' : 'pass';
  const finding = state === 'fail' ? 'users are not split as assigned' : 'users are split as assigned';
  return ofAll('sampleRatio', state, all, `${finding}: ${parts.join(', ')} (p ${figure(worse.pValue)})`, worse);
}

/**
 * Checks the shares of users for each source. It detects a candidate that is "better" only because more of its answers
 * were computed live.
 */
export function checkSources(figures: RolloutFigures, rules: JudgingRules): Check {
  const all = [figures.stable, ...figures.arms];
  const tolerance = Math.max(SOURCE_TOLERANCE, rules.guardrails.liveShare ?? 0);
  const sources = [...new Set(all.flatMap((arm) => Object.keys(arm.sources)))].sort();
  const differing = sources.flatMap((source) => {
    const counts = all.map((arm) => countOfUsers(arm, arm.sources[source] ?? 0));
    const logEvidence = logEvidenceOfMismatch(
      all.map((arm, i) => ({ weight: arm.weight, users: counts[i]?.events ?? 0 })),
    );
    const shares = counts.map(({ users, events }) => (users > 0 ? events / users : 0));
    const apart = Math.max(...shares) - Math.min(...shares) > tolerance;
    if (!apart || logEvidence < Math.log(sources.length / SAMPLE_RATIO_ALPHA)) return [];
    const parts = all.map((arm, i) => `${percent(shares[i] ?? 0)} in ${arm.name}`);
    return [`${source} (${parts.join(', ')}; p ${figure(alwaysValidP(logEvidence))})`];
  });
  const state = differing.length > 0 ? 'fail' : 'pass';
  const why =
    differing.length > 0
      ? `the arms' answers come from different sources: ${listed(differing)}`
      : 'no source is proven to answer one arm more than another';
  return ofAll('sources', state, all, why);
}

function ofAll(name: string, state: CheckState, arms: readonly ArmFigures[], why: string, worse?: Evidence): Check {
  const users = Object.fromEntries(arms.map((arm) => [arm.name, arm.users]));
  return { name, arm: null, guardrail: false, state, figures: worse ? { users, worse } : { users }, why };
}

// Sample-ratio mismatch: checks whether the counted users split over the arms as assigned. If not, the arms are not
// samples of the same users (an arm loses users, or logs them twice), and no comparison of them is valid.
//
// The sequential test is multinomial, with a Dirichlet mixture around the assigned shares: M. Lindon and A. Malek,
// "Anytime-Valid Inference for Multinomial Count Data", NeurIPS 2022. It is exact at all looks together.

/**
 * The p-value below which a mismatch is reported. It is the conventional level, since a mismatch is a fault and not a
 * result.
 */
export const SAMPLE_RATIO_ALPHA = 0.001;

/**
 * The concentrations of the mixtures around the assigned shares, as if each had already counted this many users. The
 * first is the authors' choice, for many users and a small mismatch. The second finds a large mismatch among a few
 * dozen users. The mean of two e-values is an e-value.
 */
const NEAR = 100;
const ANYWHERE = 2;

/** The users counted in an arm, and its share of the assignment, in a unit common to all arms. */
interface ArmShare {
  readonly users: number;
  readonly weight: number;
}

/**
 * Returns ln of the e-value against "users are split as assigned". Arms without weight are left out. Returns 0 without
 * users.
 */
export function logEvidenceOfMismatch(arms: readonly ArmShare[]): number {
  const { counts, shares } = assigned(arms);
  return logOfMean(logEvidenceOf(counts, shares, NEAR), logEvidenceOf(counts, shares, ANYWHERE));
}

function logEvidenceOf(counts: readonly number[], shares: readonly number[], concentration: number): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const parts = shares.map((share, i) => {
    const prior = concentration * share;
    const count = counts[i] ?? 0;
    return logGamma(prior + count) - logGamma(prior) - count * Math.log(share);
  });
  return logGamma(concentration) - logGamma(concentration + total) + parts.reduce((sum, part) => sum + part, 0);
}

function assigned(arms: readonly ArmShare[]) {
  const some = arms.filter((arm) => arm.weight > 0);
  const weights = some.reduce((sum, arm) => sum + arm.weight, 0);
  return { counts: some.map((arm) => arm.users), shares: some.map((arm) => arm.weight / weights) };
}
