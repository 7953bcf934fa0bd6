/** The record of a rollout's step: its reads, for reports, and its users, for judgement. */

import { BUCKETS } from '@tandem/freshness/assignment';
import {
  type AnalysisPlan,
  CANDIDATE,
  isActive,
  type OutcomeMetric,
  type Rollout,
  STABLE,
} from '@tandem/freshness/rollout';
import type { ArmSample } from '../sequential/effect.ts';
import { compareOutcome } from '../verdict/compare-outcome.ts';
import { judgeRollout } from '../verdict/judge-rollout.ts';
import type { ArmFigures, JudgingRules, RolloutFigures } from '../verdict/rollout-figures.ts';
import { type ArmCounts, addCounts, LATENCY_BOUNDS_MS, NO_COUNTS, type StepFigures } from './arm-counts.ts';
import type { ArmOutcomes, OutcomeStatistics } from './outcomes.ts';

/** The stored record of the reads of a rollout's step. */
export interface ServedRecord {
  /** Time since the step began, by the database's clock, in ms; 0 if it has not begun. */
  readonly elapsedMs: number;
  readonly served: StepFigures;
}

/** The stored record of a rollout's step. */
export interface StepRecord extends ServedRecord {
  readonly outcomes: OutcomeStatistics;
}

/** Returns the analysis of a canary or an A/B test; null for a shadow, whose arms serve no users. */
export function analysisOf({ plan }: Pick<Rollout, 'plan'>): AnalysisPlan | null {
  return plan.kind === 'shadow' ? null : plan.analysis;
}

/**
 * Returns the rules by which a rollout is judged. A step's deadline begins when a verdict is possible: after `minStep`,
 * and after the longest window of a guardrail outcome. A rollout that an operator holds has no deadline.
 */
export function rulesOf({ state }: Pick<Rollout, 'state'>, analysis: AnalysisPlan): JudgingRules {
  const { holdDeadlineMs, minStepMs, outcomes } = analysis;
  if (holdDeadlineMs == null || state === 'held') return { ...analysis, holdDeadlineMs: null };
  const windows = outcomes.filter(({ guardrail }) => guardrail).map(({ windowMs }) => windowMs);
  return { ...analysis, holdDeadlineMs: holdDeadlineMs + Math.max(minStepMs, ...windows) };
}

/** Functions that take the counts of the figures from the counts of an arm and source. */
interface Measure {
  readonly reads: (counts: ArmCounts) => number;
  readonly errors: (counts: ArmCounts) => number;
  readonly slow: (counts: ArmCounts, slowMs: number) => number;
}

const READS: Measure = { reads: (counts) => counts.reads, errors: (counts) => counts.errors, slow: slowReads };
/** Counts of users: each user has the weight 1, split over the sources of the user's reads. */
const USERS: Measure = {
  reads: (counts) => counts.users,
  errors: ({ users, errors, reads }) => (reads > 0 ? (users * errors) / reads : 0),
  slow: (counts) => counts.slowUsers,
};

/** Returns the figures of a step, counted in reads. */
export function figuresOf(rollout: Rollout, analysis: AnalysisPlan, record: StepRecord): RolloutFigures {
  return measured(rollout, analysis, record, READS);
}

/** Returns the figures by which a step is judged: the same figures, counted in users instead of reads. */
export function judgedFiguresOf(rollout: Rollout, analysis: AnalysisPlan, record: StepRecord): RolloutFigures {
  return measured(rollout, analysis, record, USERS);
}

function measured(
  rollout: Rollout,
  analysis: AnalysisPlan,
  { elapsedMs, served, outcomes }: StepRecord,
  measure: Measure,
): RolloutFigures {
  const arms = weightedArms(rollout);
  const rest = BUCKETS - arms.reduce((sum, { weight }) => sum + weight, 0);
  const figures = ({ name, weight }: { name: string; weight: number }) =>
    armFigures({ name, weight, slowMs: analysis.guardrails.slowMs }, served, outcomes.arms, measure);
  return {
    elapsedMs,
    steps: comparedSteps(rollout),
    stable: figures({ name: STABLE, weight: rest }),
    arms: arms.map(figures),
  };
}

/**
 * Returns the arms of a rollout. A finished rollout has no arms, so its last arms are returned to make its record
 * readable.
 */
function weightedArms({ state, arms, plan, step }: Rollout): readonly { name: string; weight: number }[] {
  if (isActive(state) || plan.kind === 'shadow') {
    return arms.map(({ name, firstBucket, endBucket }) => ({ name, weight: endBucket - firstBucket }));
  }
  const shares = plan.kind === 'ab' ? plan.arms : [{ name: CANDIDATE, weight: plan.steps[step] ?? 100 }];
  return shares.map(({ name, weight }) => ({ name, weight: Math.round((weight * BUCKETS) / 100) }));
}

/** Returns the steps in which the stable arm still serves users. */
function comparedSteps({ plan }: Rollout): number {
  return plan.kind === 'canary' ? plan.steps.filter((percent) => percent < 100).length : 1;
}

function armFigures(
  { name, weight, slowMs }: { readonly name: string; readonly weight: number; readonly slowMs: number },
  { counts, exposed }: StepFigures,
  outcomes: readonly ArmOutcomes[],
  measure: Measure,
): ArmFigures {
  const own = counts.filter(({ arm }) => arm === name);
  const { scores } = own.reduce<ArmCounts>((total, one) => addCounts(total, one.counts), NO_COUNTS);
  const sumOf = (count: (counts: ArmCounts) => number) => own.reduce((sum, one) => sum + count(one.counts), 0);
  return {
    name,
    weight,
    users: exposed.filter(({ arm }) => arm === name).reduce((users, one) => users + one.users, 0),
    // The shares of users add up to whole users; a fraction is the rounding error of the sum.
    reads: Math.round(sumOf(measure.reads)),
    errors: sumOf(measure.errors),
    slow: sumOf((one) => measure.slow(one, slowMs)),
    sources: Object.fromEntries(own.map((one) => [one.source, measure.reads(one.counts)])),
    scores: scores.some((count) => count > 0) ? scores : [],
    outcomes: samplesOf(outcomes.filter(({ arm }) => arm === name)),
  };
}

/**
 * Returns the reads in the classes above the first bound that is at least `slowMs`, since counts are no finer than
 * classes.
 */
function slowReads({ latency }: ArmCounts, slowMs: number): number {
  const within = LATENCY_BOUNDS_MS.findIndex((bound) => bound >= slowMs);
  const first = within === -1 ? LATENCY_BOUNDS_MS.length : within + 1;
  return latency.slice(first).reduce((sum, count) => sum + count, 0);
}

/** Returns the samples of users whose window has ended: a sequential test needs figures that no longer change. */
function samplesOf(outcomes: readonly ArmOutcomes[]): Readonly<Record<string, ArmSample>> {
  return Object.fromEntries(outcomes.map(({ metric, mature }) => [metric.name, mature]));
}

// The current state of a rollout: its figures, their verdict, and each outcome by arm.

const DAY_MS = 86_400_000;

export type RolloutReport = ReturnType<typeof reportOf>;

export function reportOf(rollout: Rollout, analysis: AnalysisPlan, record: StepRecord) {
  const figures = figuresOf(rollout, analysis, record);
  return {
    figures,
    judgement: judgeRollout(judgedFiguresOf(rollout, analysis, record), rulesOf(rollout, analysis)),
    outcomes: analysis.outcomes.flatMap((metric) => outcomesOf(metric, analysis.alpha, record)),
    /** The time of the outcomes; null if they have not been counted, or the plan has none. */
    outcomesAsOf: record.outcomes.asOf,
    /** Users that one step has served from two arms. Outcomes exclude them. */
    multipleExposures: record.served.multipleExposures,
    /** First exposures by day of UTC. */
    newUsers: record.served.newUsers,
  };
}

function outcomesOf(metric: OutcomeMetric, alpha: number, { outcomes, elapsedMs }: StepRecord) {
  const own = outcomes.arms.filter((one) => one.metric.name === metric.name);
  const stable = own.find(({ arm }) => arm === STABLE);
  if (!stable) return [];
  return own
    .filter(({ arm }) => arm !== STABLE)
    .map((one) => ({
      metric,
      arm: one.arm,
      /** Users whose window has ended. Tests use only these. */
      mature: compareOutcome({
        ...metric,
        armName: one.arm,
        stable: stable.mature,
        arm: one.mature,
        alpha,
        // The users whose window has ended were first exposed at least one window ago.
        days: (elapsedMs - metric.windowMs) / DAY_MS,
      }),
      /** All users so far, for information. No test uses them. */
      sofar: { stable: meansOf(stable.all), arm: meansOf(one.all) },
    }));
}

function meansOf({ users, sum }: { readonly users: number; readonly sum: number }) {
  return { users, mean: users > 0 ? sum / users : 0 };
}
