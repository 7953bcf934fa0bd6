/** What is known of a rollout at this moment: its figures, the verdict that they give, and each outcome arm by arm. */
import { compareOutcome, type OutcomeComparison } from '@tandem/experiment/verdict/compare-outcome';
import { judgeRollout } from '@tandem/experiment/verdict/judge-rollout';
import type { Judgement, RolloutFigures } from '@tandem/experiment/verdict/rollout-figures';
import type { OutcomeMetric, Rollout } from '@tandem/freshness/rollout';
import { type AnalysisPlan, STABLE } from '@tandem/freshness/rollout';
import { figuresOf, judgedFiguresOf, rulesOf, type StepRecord } from './rollout-figures.ts';

const DAY_MS = 86_400_000;

export interface OutcomeReport {
  readonly metric: OutcomeMetric;
  readonly arm: string;
  /** Of users whose window is over: what tests go by. */
  readonly mature: OutcomeComparison;
  /** Of all users so far: how it goes, and no test. */
  readonly sofar: { readonly stable: { users: number; mean: number }; readonly arm: { users: number; mean: number } };
}

export interface RolloutReport {
  readonly figures: RolloutFigures;
  readonly judgement: Judgement;
  readonly outcomes: readonly OutcomeReport[];
  /** Users that one step has served from two arms; outcomes leave them out. */
  readonly multipleExposures: number;
  /** First exposures by day of UTC. */
  readonly newUsers: StepRecord['outcomes']['newUsers'];
}

export function reportOf(rollout: Rollout, analysis: AnalysisPlan, record: StepRecord): RolloutReport {
  const figures = figuresOf(rollout, analysis, record);
  const { newUsers } = record.outcomes;
  return {
    figures,
    judgement: judgeRollout(judgedFiguresOf(rollout, analysis, record), rulesOf(rollout, analysis)),
    outcomes: analysis.outcomes.flatMap((metric) => outcomesOf(metric, analysis.alpha, record)),
    multipleExposures: record.served.multipleExposures,
    newUsers,
  };
}

function outcomesOf(metric: OutcomeMetric, alpha: number, { outcomes, elapsedMs }: StepRecord): OutcomeReport[] {
  const own = outcomes.arms.filter((one) => one.metric.name === metric.name);
  const stable = own.find(({ arm }) => arm === STABLE);
  if (!stable) return [];
  return own
    .filter(({ arm }) => arm !== STABLE)
    .map((one) => ({
      metric,
      arm: one.arm,
      mature: compareOutcome({
        ...{ name: metric.name, armName: one.arm, better: metric.better, minimumEffect: metric.minimumEffect },
        ...{ stable: stable.mature, arm: one.mature, alpha },
        // The users whose window is over came in the days before it.
        days: Math.max(1, (elapsedMs - metric.windowMs) / DAY_MS),
      }),
      sofar: { stable: meansOf(stable.all), arm: meansOf(one.all) },
    }));
}

function meansOf({ users, sum }: { readonly users: number; readonly sum: number }) {
  return { users, mean: users > 0 ? sum / users : 0 };
}
