/** A rollout's report in the wire format. */
import type { Judgement } from '@tandem/experiment/verdict/rollout-figures';
import type { RolloutReport } from '@tandem/prediction/rollouts/rollout-figures';
import type { JudgementView, RolloutReportView } from '@tandem/wire/rollout-report';
import type { RolloutView } from '@tandem/wire/rollouts';

export function reportView(
  rollout: RolloutView,
  { figures, judgement, outcomes, ...rest }: RolloutReport,
): Omit<RolloutReportView, 'outcomesError'> {
  return {
    rollout,
    elapsedSeconds: figures.elapsedMs / 1_000,
    arms: [figures.stable, ...figures.arms].map(({ name, users, reads, errors, slow, sources }) => ({
      variant: name,
      users,
      reads,
      errors,
      slow,
      sources: { ...sources },
    })),
    judgement: judgementView(judgement),
    outcomes: outcomes.map(({ metric, arm, mature, sofar }) => ({
      name: metric.name,
      variant: arm,
      cap: metric.cap ?? null,
      stable: mature.stable,
      arm: mature.arm,
      sofar,
      difference: mature.difference,
      relative: mature.relative,
      pValue: mature.pValue,
      eValue: mature.eValue,
      ...mature.power,
      conclusion: { ...mature.conclusion },
    })),
    outcomesAsOf: rest.outcomesAsOf?.toISOString() ?? null,
    multipleExposures: rest.multipleExposures,
    newUsers: [...rest.newUsers],
  };
}

export function judgementView({ checks, ...rest }: Judgement): JudgementView {
  return { ...rest, checks: checks.map(({ figures, ...check }) => ({ ...check, figures: { ...figures } })) };
}
