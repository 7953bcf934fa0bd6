/** The result of comparing a new generation with the current one, in the form that is stored and shown. */
import type { DecisionPolicy, PublishPolicy } from '@tandem/freshness/predictor';

/** The coverage of all users, or of one segment. */
export interface Coverage {
  /** In the generation served now. */
  readonly before: number;
  /** In the new one. */
  readonly now: number;
  readonly both: number;
  /** In the new one alone. */
  readonly added: number;
  /** In the one served now alone. */
  readonly gone: number;
}

/**
 * The shift of a numeric output; deltas are new minus previous value, over users in both. Six digits of each are kept.
 */
export interface OutputShift {
  /** Population stability index over 20 classes: tally.ts. Of all users on each side. */
  readonly psi: number;
  readonly meanBefore: number;
  readonly meanNow: number;
  readonly meanDelta: number;
  /** Mean of the absolute delta. */
  readonly meanAbsoluteDelta: number;
  readonly p50AbsoluteDelta: number;
  readonly p99AbsoluteDelta: number;
  readonly largestDelta: number;
  /** Share of users with any delta, 0 to 1. */
  readonly changed: number;
}

/** Users whose decision is another: `up` reach the threshold now, `down` no longer. */
export interface DecisionFlips {
  readonly output: string;
  readonly threshold: number;
  readonly up: number;
  readonly down: number;
  /** Share of the users in both, 0 to 1. */
  readonly rate: number;
}

export interface SegmentValue {
  /** null: users without one. */
  readonly value: string | null;
  readonly users: Coverage;
  /** Shift of the decision's output, else of the first with one number; null if there is none. */
  readonly shift: OutputShift | null;
  readonly flips: Pick<DecisionFlips, 'up' | 'down' | 'rate'> | null;
}

export interface Segment {
  readonly column: string;
  /** The first 50 values that were met, those with most users first. */
  readonly values: readonly SegmentValue[];
  /** All other users; null if there are none. */
  readonly others: SegmentValue | null;
}

export interface ReportFigures {
  readonly users: Coverage;
  /** Outputs with one number a user. */
  readonly outputs: readonly (OutputShift & { readonly name: string })[];
  /** Texts and vectors: the share of users whose answer is another. */
  readonly answers: readonly { readonly name: string; readonly changed: number }[];
  readonly decision: DecisionFlips | null;
  readonly segments: readonly Segment[];
}

/** One of the users whose output moved furthest. Stored separately from the figures, since an erasure deletes it. */
export interface Mover {
  readonly userId: string;
  readonly before: number;
  readonly now: number;
  readonly delta: number;
}

/** A threshold of `publish` that the figures are beyond. */
interface Crossing {
  readonly setting: 'maxPsi' | 'maxFlipRate' | 'maxMeanDelta' | 'minCoverage';
  /** null: of users rather than of an output. */
  readonly output: string | null;
  readonly value: number;
  readonly limit: number;
}

/** `blocked`: not published until an operator approves it. */
type ReportVerdict = 'passed' | 'blocked' | 'not_compared';

export interface GenerationReport {
  readonly verdict: ReportVerdict;
  /** null: not compared. */
  readonly figures: ReportFigures | null;
  readonly crossings: readonly Crossing[];
  /** Outputs that were not compared or not judged, and why. */
  readonly notes: readonly string[];
  /** Milliseconds that the comparison took. */
  readonly tookMs: number;
  /**
   * Set if only some users were compared: one of `oneIn`, chosen by a hash of their ids or by the pages that hold them.
   */
  readonly sample?: { readonly oneIn: number; readonly users: number };
  /** The fate of a generation whose comparison ran out of time. */
  readonly outOfTime?: 'sampled' | 'held' | 'published';
}

/** `PSI 0.41 of score above 0.25`, for people. */
export function crossingText({ setting, output, value, limit }: Crossing): string {
  const of = output === null ? '' : ` of ${output}`;
  switch (setting) {
    case 'maxPsi':
      return `PSI ${value}${of} above ${limit}`;
    case 'maxFlipRate':
      return `flip rate ${value}${of} above ${limit}`;
    case 'maxMeanDelta':
      return `mean delta ${value}${of} above ${limit}`;
    case 'minCoverage':
      return `coverage ${value} of the users served now below ${limit}`;
  }
}

// Which thresholds of a predictor's policy a comparison is beyond: a pure rule over its figures.

interface Judgement {
  readonly crossings: readonly Crossing[];
  /** Checks that were not judged, and why. */
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
