/** GET /v1/rollouts/{id}/report: the answers of each arm, the outcomes of its users, and the current verdict. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { TandemError } from '@tandem/freshness/errors';
import { RolloutPath } from '@tandem/wire/parameters';
import { analysisOf, type RolloutReport, reportOf } from '../rules/rollout-figures.ts';
import type { Judgement } from '../verdict/rollout-figures.ts';
import {
  type JudgementView,
  ROLLOUT_REPORT_EXAMPLE,
  RolloutReportSchema,
  type RolloutReportView,
} from '../wire/rollout-report.ts';
import type { RolloutView } from '../wire/rollouts.ts';
import type { RolloutRoutes } from './rollout-routes.ts';
import { requireRollout, rolloutView } from './rollout-view.ts';

/** Milliseconds for which a report counts outcomes. The looks of the workers have the same limit. */
const OUTCOMES_MS = 3_000;
const NONE = Object.freeze({ arms: [], asOf: null });

export function showRolloutReport({ rollouts, rolloutChecks }: RolloutRoutes) {
  return defineEndpoint({
    operationId: 'showRolloutReport',
    method: 'get',
    path: '/v1/rollouts/{id}/report',
    tag: 'rollouts',
    summary: 'Current figures, verdict and outcomes of a rollout',
    description:
      'The report covers the current step. The tests are sequential, so they stay valid however often you look. `checks` has the result of each test.',
    scope: 'models:read',
    params: RolloutPath,
    answer: { description: 'The report', schema: RolloutReportSchema, example: ROLLOUT_REPORT_EXAMPLE },
    problems: ['unknown_rollout', 'rollout_conflict', 'unavailable'],
    async handle({ req }) {
      const rollout = await requireRollout(rollouts, req.param('id') ?? '');
      const analysis = analysisOf(rollout);
      if (!analysis) {
        throw new TandemError(
          'rollout_conflict',
          'This rollout is a shadow: it serves no users, and its answers are only compared.',
          {
            field: 'id',
            remedy: `read GET /v1/rollouts/${rollout.id}/shadow-report instead`,
          },
        );
      }
      const served = await rolloutChecks.served(rollout);
      // Errors and times are reported even if outcomes cannot be counted.
      const { outcomes, outcomesError } = await rolloutChecks
        .outcomes(rollout, analysis.outcomes, OUTCOMES_MS)
        .then((found) => ({ outcomes: found, outcomesError: null }))
        .catch((error: unknown) => ({
          outcomes: NONE,
          outcomesError: error instanceof Error ? error.message : String(error),
        }));
      return {
        ...reportView(rolloutView(rollout), reportOf(rollout, analysis, { ...served, outcomes })),
        outcomesError,
      };
    },
  });
}

function reportView(
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
