/** Whether there is something to judge, and whether it is a sample of the same users in each arm. */
import { alwaysValidP } from '../sequential/e-value.ts';
import { evidenceOf } from './evidence.ts';
import { figure, listed, percent } from './figure-text.ts';
import type { ArmFigures, Check, CheckState, Evidence, JudgingRules, RolloutFigures } from './rollout-figures.ts';
import { logEvidenceOfMismatch, SAMPLE_RATIO_ALPHA } from './sample-ratio.ts';
import { countOfUsers } from './share-check.ts';

/**
 * By how much the arms' shares of a source may differ. The newer of two generations is always a little fresher, and with
 * enough users any difference is proven; what makes a comparison worthless is a large one.
 */
const SOURCE_TOLERANCE = 0.02;

/** No plan can ask for less: a handful of users proves nothing that is worth acting on. */
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
  // An exposure may have been written down whose read was not.
  const few = all.filter((arm) => Math.min(arm.users, arm.reads) < needed);
  const counted = listed(few.map((arm) => `${Math.min(arm.users, arm.reads)} of ${arm.name}`));
  const why = few.length > 0 ? `too few users: ${counted}, of ${needed}` : `at least ${needed} users in every arm`;
  return ofAll('users', few.length > 0 ? 'fail' : 'pass', all, why);
}

export function checkSampleRatio({ stable, arms }: RolloutFigures): Check {
  const all = [stable, ...arms];
  const worse = evidenceOf(logEvidenceOfMismatch(all), SAMPLE_RATIO_ALPHA);
  const weights = all.reduce((sum, arm) => sum + arm.weight, 0);
  const users = all.reduce((sum, arm) => sum + arm.users, 0);
  const parts = all.map((arm) => `${arm.name} ${percent(arm.users / users)} for ${percent(arm.weight / weights)}`);
  const state = worse.eValue >= worse.needed ? 'fail' : 'pass';
  const finding = state === 'fail' ? 'users are not split as they were assigned' : 'users are split as assigned';
  return ofAll('sampleRatio', state, all, `${finding}: ${parts.join(', ')} (p ${figure(worse.pValue)})`, worse);
}

/**
 * The same for the users of each source alone: a candidate that is "better" because more of its answers were computed live
 * is found here.
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
    const parts = all.map((arm, i) => `${percent(shares[i] ?? 0)} of ${arm.name}`);
    return [`${source} (${parts.join(', ')}; p ${figure(alwaysValidP(logEvidence))})`];
  });
  const state = differing.length > 0 ? 'fail' : 'pass';
  const why =
    differing.length > 0
      ? `answers come from other sources: ${listed(differing)}`
      : 'no source is proven to answer one arm more than another';
  return ofAll('sources', state, all, why);
}

function ofAll(name: string, state: CheckState, arms: readonly ArmFigures[], why: string, worse?: Evidence): Check {
  const users = Object.fromEntries(arms.map((arm) => [arm.name, arm.users]));
  return { name, arm: null, guardrail: false, state, figures: worse ? { users, worse } : { users }, why };
}
