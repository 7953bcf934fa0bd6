/** GET /v1/rollouts/{id}/shadow-report: compares the candidate's answers with the served answers. */

import { TandemError } from '@tandem/freshness/errors';
import type { Registry } from '@tandem/freshness/reader';
import { isUuid } from '@tandem/freshness/user-id';
import type { KeptShadow } from '@tandem/offline-store/rollouts/shadow';
import { RolloutPath } from '@tandem/wire/parameters';
import { SHADOW_REPORT_EXAMPLE, ShadowReportSchema } from '@tandem/wire/shadow-report';
import { jsonEndpoint } from '../../http/json-endpoint.ts';
import { unknownRollout } from './rollout-view.ts';
import { shadowReportView } from './shadow-report-view.ts';

export interface ShadowReportDependencies {
  readonly findShadow: (rolloutId: string) => Promise<KeptShadow | 'not a shadow' | undefined>;
  readonly registry: Pick<Registry, 'predictor'>;
}

export function showShadowReport({ findShadow, registry }: ShadowReportDependencies) {
  return jsonEndpoint({
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
