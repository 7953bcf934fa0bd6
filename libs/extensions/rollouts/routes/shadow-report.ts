/** GET /v1/rollouts/{id}/shadow-report: compares the candidate's answers with the served answers. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { TandemError } from '@tandem/freshness/errors';
import type { DecisionPolicy } from '@tandem/freshness/predictor';
import { isUuid } from '@tandem/freshness/user-id';
import { RolloutPath } from '@tandem/wire/parameters';
import { type ComparisonReport, reportShadow } from '../shadow/shadow-report.ts';
import type { KeptShadow } from '../statements/shadow.ts';
import { SHADOW_REPORT_EXAMPLE, ShadowReportSchema, type ShadowReportView } from '../wire/shadow-report.ts';
import type { RolloutRoutes } from './rollout-routes.ts';
import { unknownRollout } from './rollout-view.ts';

export function showShadowReport({ findShadow, registry }: RolloutRoutes) {
  return defineEndpoint({
    operationId: 'showShadowReport',
    method: 'get',
    path: '/v1/rollouts/{id}/shadow-report',
    tag: 'rollouts',
    summary: "A shadow's answers compared with the served answers",
    description:
      'Shows the differences of the deciding output, changed decisions, segments, and the cost of the candidate, summed over all processes. Processes report every five seconds. A shadow delays no answer.',
    scope: 'models:read',
    params: RolloutPath,
    answer: { description: 'The comparison so far', schema: ShadowReportSchema, example: SHADOW_REPORT_EXAMPLE },
    problems: ['unknown_rollout', 'rollout_conflict', 'unavailable'],
    async handle({ req }) {
      const id = req.param('id') ?? '';
      const found = isUuid(id) ? await findShadow(id) : undefined;
      if (!found) throw unknownRollout();
      if (found === 'not a shadow') throw otherKind(id);
      const predictor = await registry.predictor(found.predictor);
      return shadowReportView(id, found, predictor?.policy.decision ?? null);
    },
  });
}

function otherKind(id: string): TandemError {
  return new TandemError('rollout_conflict', 'This rollout is not a shadow: it serves its model versions.', {
    field: 'id',
    remedy: `read GET /v1/rollouts/${id}/report instead`,
  });
}

/**
 * Renders the report of a shadow.
 * @param decision the predictor's current decision setting
 */
function shadowReportView(
  rolloutId: string,
  { predictor, state, plan, processes, updatedAt, rows, movers }: KeptShadow,
  decision: DecisionPolicy | null,
): ShadowReportView {
  const { outcomes, everybody, segments, joint, servedAgeSeconds, candidate } = reportShadow(rows, decision !== null);
  return {
    rolloutId,
    predictor,
    state,
    modelVersion: String(plan.version),
    share: plan.share,
    processes,
    updatedAt: updatedAt?.toISOString() ?? null,
    decision,
    outcomes,
    everybody: comparisonsView(everybody),
    segments: segments.map(({ segment, ...comparisons }) => ({ ...segment, ...comparisonsView(comparisons) })),
    joint,
    servedAgeSeconds,
    movers: movers.map(({ computedAt, ...mover }) => ({ ...mover, computedAt: new Date(computedAt).toISOString() })),
    candidate,
  };
}

/** Renders comparisons without the empty classes at either end. */
function comparisonsView(comparisons: ComparisonReport): ComparisonReport {
  const { deltas } = comparisons;
  const first = deltas.findIndex(({ answers }) => answers > 0);
  const last = deltas.findLastIndex(({ answers }) => answers > 0);
  return { ...comparisons, deltas: first < 0 ? [] : deltas.slice(first, last + 1) };
}
