/** What a step of a rollout has served, as the figures that it is judged by. */

import type { ArmSample } from '@tandem/experiment/arm-sample';
import { BUCKETS } from '@tandem/experiment/assignment';
import type { ArmFigures, RolloutFigures } from '@tandem/experiment/rollout-figures';
import { type ArmCounts, addCounts, LATENCY_BOUNDS_MS, NO_COUNTS, type StepFigures } from './arm-counts.ts';
import type { ArmOutcomes, OutcomeStatistics } from './outcomes.ts';
import { type AnalysisPlan, CANDIDATE, isActive, type Rollout, STABLE } from './rollout.ts';

/** What the stores know of a rollout's step. */
export interface StepRecord {
  /** By the database's clock, since the step began, ms; 0 where it has not. */
  readonly elapsedMs: number;
  readonly served: StepFigures;
  readonly outcomes: OutcomeStatistics;
}

/** Of a canary or an A/B test; null of a shadow, whose arms serve nobody. */
export function analysisOf({ plan }: Pick<Rollout, 'plan'>): AnalysisPlan | null {
  return plan.kind === 'shadow' ? null : plan.analysis;
}

export function figuresOf(
  rollout: Rollout,
  analysis: AnalysisPlan,
  { elapsedMs, served, outcomes }: StepRecord,
): RolloutFigures {
  const arms = weightedArms(rollout);
  const rest = BUCKETS - arms.reduce((sum, { weight }) => sum + weight, 0);
  const figures = ({ name, weight }: { name: string; weight: number }) =>
    armFigures(name, weight, served, outcomes.arms, analysis.guardrails.slowMs);
  return {
    elapsedMs,
    steps: comparedSteps(rollout),
    stable: figures({ name: STABLE, weight: rest }),
    arms: arms.map(figures),
  };
}

/** Of a rollout that is over, whose arms are gone, those of its last step: what it has served is still to be read. */
function weightedArms({ state, arms, plan, step }: Rollout): readonly { name: string; weight: number }[] {
  if (isActive(state) || plan.kind === 'shadow') {
    return arms.map(({ name, firstBucket, endBucket }) => ({ name, weight: endBucket - firstBucket }));
  }
  const shares = plan.kind === 'ab' ? plan.arms : [{ name: CANDIDATE, weight: plan.steps[step] ?? 100 }];
  return shares.map(({ name, weight }) => ({ name, weight: Math.round((weight * BUCKETS) / 100) }));
}

/** The steps in which somebody is still served from the stable arm. */
function comparedSteps({ plan }: Rollout): number {
  return plan.kind === 'canary' ? plan.steps.filter((percent) => percent < 100).length : 1;
}

function armFigures(
  name: string,
  weight: number,
  { counts, exposed }: StepFigures,
  outcomes: readonly ArmOutcomes[],
  slowMs: number,
): ArmFigures {
  const own = counts.filter(({ arm }) => arm === name);
  const sum = own.reduce<ArmCounts>((total, one) => addCounts(total, one.counts), NO_COUNTS);
  return {
    ...{ name, weight },
    users: exposed.filter(({ arm }) => arm === name).reduce((users, one) => users + one.users, 0),
    reads: sum.reads,
    errors: sum.errors,
    slow: slowReads(sum, slowMs),
    sources: Object.fromEntries(own.map(({ source, counts: { reads } }) => [source, reads])),
    scores: sum.scores.some((count) => count > 0) ? sum.scores : [],
    outcomes: samplesOf(outcomes.filter(({ arm }) => arm === name)),
  };
}

/** Those of the classes above the first bound that is no less than `slowMs`: counts know no finer. */
function slowReads({ latency }: ArmCounts, slowMs: number): number {
  const within = LATENCY_BOUNDS_MS.findIndex((bound) => bound >= slowMs);
  const first = within === -1 ? LATENCY_BOUNDS_MS.length : within + 1;
  return latency.slice(first).reduce((sum, count) => sum + count, 0);
}

/** Of users whose window is over: what a sequential test has seen of a user must not change any more. */
function samplesOf(outcomes: readonly ArmOutcomes[]): Readonly<Record<string, ArmSample>> {
  return Object.fromEntries(outcomes.map(({ metric, mature }) => [metric.name, mature]));
}
