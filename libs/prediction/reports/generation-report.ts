/** The result of comparing a new generation with the current one, in the form that is stored and shown. */
import type { DecisionPolicy, PublishPolicy } from '@tandem/freshness/predictor';
import type { CountedClasses, ShiftIndex } from './distribution.ts';

/** The coverage of all users, or of one segment. */
export interface Coverage {
  /** Users in the currently served generation. */
  readonly before: number;
  /** Users in the new generation. */
  readonly now: number;
  readonly both: number;
  /** Users only in the new generation. */
  readonly added: number;
  /** Users only in the currently served generation. */
  readonly gone: number;
}

/**
 * The shift of a numeric output. Deltas are new minus previous value, over the users in both generations. Figures are
 * rounded to six digits.
 */
export interface OutputShift {
  /**
   * The population stability index over 20 classes (distribution.ts), of all users of each generation, without its
   * expectation from chance.
   */
  readonly psi: number;
  /** The lower confidence bound of `psi`, 99 %; absent in reports of earlier releases, like the other bound. */
  readonly psiLower?: number;
  readonly meanBefore: number;
  readonly meanNow: number;
  readonly meanDelta: number;
  /** The mean absolute delta. */
  readonly meanAbsoluteDelta: number;
  /** Its lower confidence bound, 99 %. */
  readonly meanAbsoluteDeltaLower?: number;
  readonly p50AbsoluteDelta: number;
  readonly p99AbsoluteDelta: number;
  readonly largestDelta: number;
  /** The share of users with any delta, 0 to 1. */
  readonly changed: number;
}

/** The users whose decision changed: `up` now reach the threshold, `down` no longer do. */
export interface DecisionFlips {
  readonly output: string;
  readonly threshold: number;
  readonly up: number;
  readonly down: number;
  /** Their share of the users in both generations, 0 to 1. */
  readonly rate: number;
  /** Its lower confidence bound, 99 %. */
  readonly rateLower?: number;
}

/** The figures of the users with one value of a feature. */
export interface SegmentValue {
  /** The value of the feature; null for users without a value. */
  readonly value: string | null;
  readonly users: Coverage;
  /** The shift of the decision's output, else of the first output with one number; null if there is none. */
  readonly shift: OutputShift | null;
  readonly flips: Omit<DecisionFlips, 'output' | 'threshold'> | null;
}

/** The figures by the value of one feature. */
export interface Segment {
  readonly column: string;
  /** The first 50 values that occurred, those with most users first. */
  readonly values: readonly SegmentValue[];
  /** All other users; null if there are none. */
  readonly others: SegmentValue | null;
}

/** The figures of a comparison. */
export interface ReportFigures {
  readonly users: Coverage;
  /** Outputs with one number a user. */
  readonly outputs: readonly (OutputShift & { readonly name: string; readonly first?: ShiftIndex })[];
  /** Texts and vectors: the share of users whose answer changed. */
  readonly answers: readonly { readonly name: string; readonly changed: number }[];
  readonly decision: DecisionFlips | null;
  readonly segments: readonly Segment[];
}

/** A user with one of the largest changes. It is stored separately from the figures, since an erasure deletes it. */
export interface Mover {
  readonly userId: string;
  readonly before: number;
  readonly now: number;
  readonly delta: number;
}

/** The classes of an output with one number a user. */
export interface OutputClasses extends CountedClasses {
  readonly name: string;
}

/**
 * The generation that all later ones of its model version are compared with, too: the first with a comparison, or the
 * last that an operator approved in spite of its shift. Each report stores it, so it outlives its generation.
 */
export interface FirstGeneration {
  readonly generation: number;
  /** Whether only users of some pages were counted. */
  readonly isOfPages: boolean;
  readonly outputs: readonly OutputClasses[];
}

/** A threshold of `publish` that the figures exceed. */
interface Crossing {
  readonly setting: 'maxPsi' | 'maxFlipRate' | 'maxMeanDelta' | 'minCoverage';
  /** The output; null for a figure of users. */
  readonly output: string | null;
  /** The generation that a PSI compares with; absent for other figures, and in reports of earlier releases. */
  readonly against?: 'previous' | 'first';
  readonly value: number;
  readonly limit: number;
}

/** The verdict on a generation. `blocked`: it is not published until an operator approves it. */
type ReportVerdict = 'passed' | 'blocked' | 'not_compared';

/** The stored result of the comparison of one generation. */
export interface GenerationReport {
  readonly verdict: ReportVerdict;
  /** The figures of the comparison; null if nothing was compared. */
  readonly figures: ReportFigures | null;
  /** Absent in reports of earlier releases; null if there is none yet. */
  readonly first?: FirstGeneration | null;
  readonly crossings: readonly Crossing[];
  /** Outputs that were not compared or not judged, and why. */
  readonly notes: readonly string[];
  /** Milliseconds that the comparison took. */
  readonly tookMs: number;
  /**
   * Set if only a sample was compared: one user in `oneIn`, chosen by a hash of the ids or by the pages of the rows.
   */
  readonly sample?: { readonly oneIn: number; readonly users: number };
  /** What happened to the generation because its comparison exceeded the time limit. */
  readonly outOfTime?: 'sampled' | 'held' | 'published';
}

/** Returns a crossed threshold as a text: `PSI 0.41 of score is above 0.25`. */
export function crossingText({ setting, output, value, limit, against }: Crossing): string {
  const of = output === null ? '' : ` of ${output}`;
  switch (setting) {
    case 'maxPsi':
      return `PSI ${value}${of}${against === 'first' ? ' against the first generation' : ''} is above ${limit}`;
    case 'maxFlipRate':
      return `flip rate ${value}${of} is above ${limit}`;
    case 'maxMeanDelta':
      return `mean delta ${value}${of} is above ${limit}`;
    case 'minCoverage':
      return `coverage ${value} of the users served now is below ${limit}`;
  }
}

// A pure rule decides which thresholds of a predictor's policy the figures of a comparison exceed.

/**
 * Judges shift and delta of the decision's output if there is one, else of every output. `notes` are the checks that
 * were not judged, and why.
 */
export function judgeReport(figures: ReportFigures, policy: PublishPolicy, decided: DecisionPolicy | null) {
  const { users } = figures;
  const { maxPsi, maxFlipRate, maxMeanDelta, minCoverage, minUsers } = policy;
  const coverage = users.before === 0 ? 1 : users.both / users.before;
  const crossings = minCoverage === null || coverage >= minCoverage ? [] : [coverageCrossing(coverage, minCoverage)];
  const limits = { maxPsi, maxFlipRate, maxMeanDelta };
  const limited = Object.entries(limits).flatMap(([name, limit]) => (limit === null ? [] : [name]));
  if (limited.length > 0 && users.both < minUsers) {
    const notes = [
      `${limited.join(', ')} not judged: ${users.both} users are in both generations, fewer than minUsers (${minUsers})`,
    ];
    return { crossings, notes };
  }
  const notes: string[] = [];
  for (const { lower, limit, ...figure } of judgedFigures(figures, policy, decided)) {
    const { value } = figure;
    if (limit === null || value <= limit) continue;
    if ((lower ?? value) > limit) crossings.push({ ...figure, limit });
    else notes.push(`${crossingText({ ...figure, limit })}, but may be chance: at least ${lower} at 99 % confidence`);
  }
  return { crossings, notes };
}

type Judged = Omit<Crossing, 'limit'> & { readonly lower: number | undefined; readonly limit: number | null };

function judgedFigures(
  { outputs, decision }: ReportFigures,
  { maxPsi: limit, maxMeanDelta, maxFlipRate }: PublishPolicy,
  decided: DecisionPolicy | null,
): Judged[] {
  const judged = decided === null ? outputs : outputs.filter(({ name }) => name === decided.output);
  const all = judged.flatMap((shift): Judged[] => {
    const { name: output, first, meanAbsoluteDelta: value, meanAbsoluteDeltaLower: lower } = shift;
    const ofPsi = { setting: 'maxPsi', output, limit } as const;
    return [
      { ...ofPsi, against: 'previous', value: shift.psi, lower: shift.psiLower },
      ...(first ? [{ ...ofPsi, against: 'first', value: first.psi, lower: first.psiLower } as const] : []),
      { setting: 'maxMeanDelta', output, value, lower, limit: maxMeanDelta },
    ];
  });
  if (decision === null) return all;
  const { output, rate: value, rateLower: lower } = decision;
  return [...all, { setting: 'maxFlipRate', output, value, lower, limit: maxFlipRate }];
}

function coverageCrossing(coverage: number, limit: number): Crossing {
  return { setting: 'minCoverage', output: null, value: Math.floor(coverage * 10_000) / 10_000, limit };
}
