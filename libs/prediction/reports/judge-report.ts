/** Which thresholds of a predictor's policy a comparison is beyond: a pure rule over its figures. */
import type { DecisionPolicy, PublishPolicy } from '@tandem/freshness/predictor';
import type { Crossing, ReportFigures } from './generation-report.ts';

export interface Judgement {
  readonly crossings: readonly Crossing[];
  /** What was not judged, and why. */
  readonly notes: readonly string[];
}

/** Shift and delta are judged of the output that is decided by, where there is one, else of each. */
export function judgeReport(
  { users, outputs, decision }: ReportFigures,
  policy: PublishPolicy,
  decided: DecisionPolicy | null,
): Judgement {
  const { maxPsi, maxFlipRate, maxMeanDelta, minCoverage, minUsers } = policy;
  const coverage = users.before === 0 ? 1 : users.both / users.before;
  const crossings = minCoverage === null || coverage >= minCoverage ? [] : [coverageCrossing(coverage, minCoverage)];
  const limits = { maxPsi, maxFlipRate, maxMeanDelta };
  const limited = Object.entries(limits).flatMap(([name, limit]) => (limit === null ? [] : [name]));
  if (limited.length > 0 && users.both < minUsers) {
    const notes = [
      `${limited.join(', ')} not judged: ${users.both} users are in both generations, and minUsers is ${minUsers}`,
    ];
    return { crossings, notes };
  }
  for (const { name, psi, meanAbsoluteDelta } of outputs) {
    if (decided !== null && name !== decided.output) continue;
    if (maxPsi !== null && psi > maxPsi) crossings.push({ setting: 'maxPsi', output: name, value: psi, limit: maxPsi });
    if (maxMeanDelta === null || meanAbsoluteDelta <= maxMeanDelta) continue;
    crossings.push({ setting: 'maxMeanDelta', output: name, value: meanAbsoluteDelta, limit: maxMeanDelta });
  }
  if (maxFlipRate !== null && decision !== null && decision.rate > maxFlipRate) {
    crossings.push({ setting: 'maxFlipRate', output: decision.output, value: decision.rate, limit: maxFlipRate });
  }
  return { crossings, notes: [] };
}

function coverageCrossing(coverage: number, limit: number): Crossing {
  return { setting: 'minCoverage', output: null, value: Math.floor(coverage * 10_000) / 10_000, limit };
}
