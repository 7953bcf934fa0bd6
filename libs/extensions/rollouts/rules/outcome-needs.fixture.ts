/** The notes on the users that a canary needs, and simulated canaries with such users. */
import { drawBinomial } from '@tandem/experiment/distributions/draws.fixture';
import type { AnalysisPlan, CanaryPlan, OutcomeMetric } from '@tandem/freshness/rollout';
import type { ArmSample } from '../sequential/effect.ts';
import { passedSteps, type SimulatedMetric } from '../verdict/simulated-experiments.fixture.ts';
import { outcomeNeeds } from './outcome-needs.ts';

export const ORDER: OutcomeMetric = {
  name: 'order',
  kind: 'binary',
  windowMs: 1,
  better: 'higher',
  guardrail: true,
  minimumEffect: 0.1,
};
export const ANALYSIS: AnalysisPlan = {
  automatic: true,
  dryRun: false,
  intervalMs: 1,
  minStepMs: 0,
  minUsers: 200,
  alpha: 0.05,
  holdDeadlineMs: 7 * 86_400_000,
  outcomes: [ORDER],
  guardrails: { errorRate: 0.01, slowShare: 0.05, slowMs: 100, liveShare: null, psi: null },
};
export const CANARY: CanaryPlan = {
  kind: 'canary',
  version: 2,
  steps: [1, 5, 25, 50, 100],
  coverage: 'live',
  analysis: ANALYSIS,
};

/** A tenth of the users order. */
export const TENTH: SimulatedMetric = {
  name: 'binary, 10 %',
  kind: 'binary',
  cap: null,
  draw: (random, users) => {
    const had = drawBinomial(random, users, 0.1);
    return { users, sum: had, sumOfSquares: had, largest: 1 };
  },
};

/** Returns the note of a plan with this step alone, judged by the metric. */
export function noteOf(percent: number, { kind, cap }: SimulatedMetric, sample: ArmSample): string {
  const analysis = { ...ANALYSIS, outcomes: [{ ...ORDER, kind, cap }] };
  return outcomeNeeds({ ...CANARY, steps: [percent, 100], analysis }, { users: 1, samples: [sample] })[0] ?? '';
}

/** Returns the number of users that the step needs according to the note; NaN if there is no estimate. */
export function neededIn(note: string): number {
  return Number(/needs about ([\d,]+) users/.exec(note)?.[1]?.replaceAll(',', ''));
}

/** Returns the share of simulated steps of equal versions that pass with these users. */
export function passed(percent: number, users: number, experiments: number, metric = TENTH): number {
  const rule = { ...ORDER, kind: metric.kind, cap: metric.cap };
  return passedSteps(rule, metric.draw, { share: percent / 100, users, experiments });
}
