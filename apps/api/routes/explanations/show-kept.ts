/** GET /v1/explanations/{id}: a kept answer with its inputs. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { KEPT_EXPLANATION_EXAMPLE, KeptExplanationSchema } from '@tandem/wire/kept-explanations';
import { KeptExplanationPath } from '@tandem/wire/parameters';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { keptView, requireKept } from './kept-view.ts';

export function showKeptExplanation({ explanations }: RouteDependencies) {
  return defineEndpoint({
    operationId: 'showKeptExplanation',
    method: 'get',
    path: '/v1/explanations/{id}',
    tag: 'users',
    summary: 'Show a kept answer',
    scope: 'users:read',
    params: KeptExplanationPath,
    answer: {
      description: 'The answer as served and the inputs of its model',
      schema: KeptExplanationSchema,
      example: KEPT_EXPLANATION_EXAMPLE,
    },
    problems: ['unknown_explanation', 'unavailable'],
    async handle({ req }) {
      return keptView(await requireKept(explanations, req.param('id') ?? ''));
    },
  });
}
