/** A rollout's report as the wire has it. */
import type { RolloutReport } from '@tandem/prediction/rollouts/rollout-figures';
import type { RolloutReportView } from '@tandem/wire/rollout-report';
import type { RolloutView } from '@tandem/wire/rollouts';
import { judgementView } from './judgement-schema.ts';

export function reportView(
  rollout: RolloutView,
  { figures, judgement, outcomes, ...rest }: RolloutReport,
): RolloutReportView {
  return {
    rollout,
    elapsedSeconds: figures.elapsedMs / 1_000,
    arms: [figures.stable, ...figures.arms].map(({ name, users, reads, errors, slow, sources }) => ({
      ...{ variant: name, users, reads, errors, slow },
      sources: { ...sources },
    })),
    judgement: judgementView(judgement),
    outcomes: outcomes.map(({ metric, arm, mature, sofar }) => ({
      ...{ name: metric.name, variant: arm, stable: mature.stable, arm: mature.arm, sofar },
      ...{ difference: mature.difference, relative: mature.relative, pValue: mature.pValue, eValue: mature.eValue },
      ...mature.power,
      conclusion: { ...mature.conclusion },
    })),
    multipleExposures: rest.multipleExposures,
    newUsers: [...rest.newUsers],
  };
}
