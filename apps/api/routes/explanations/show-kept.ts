/** GET /v1/explanations/{id}: a kept answer with its inputs. */
import type { ExplanationStore } from '@tandem/prediction/explanations/kept-explanation';
import { KEPT_EXPLANATION_EXAMPLE, KeptExplanationSchema } from '@tandem/wire/kept-explanations';
import { KeptExplanationPath } from '@tandem/wire/parameters';
import { jsonEndpoint } from '../../http/json-endpoint.ts';
import { keptView, requireKept } from './kept-view.ts';

export interface ShowKeptDependencies {
  readonly explanations: Pick<ExplanationStore, 'find'>;
}

export function showKeptExplanation({ explanations }: ShowKeptDependencies) {
  return jsonEndpoint({
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
