/** GET /v1/explanations: kept answers, newest first, in pages. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { isRowNumber, pageIn, pageOf } from '@tandem/endpoints/page-query';
import { requirePredictor } from '@tandem/endpoints/require-predictor';
import { requireKeyType, userIdProblem } from '@tandem/freshness/user-id';
import { KEPT_EXPLANATION_EXAMPLE, KeptPageSchema, KeptQuery } from '@tandem/wire/kept-explanations';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { keptView } from './kept-view.ts';

export function listKeptExplanations({ explanations, registry, keyType }: RouteDependencies) {
  return defineEndpoint({
    operationId: 'listKeptExplanations',
    method: 'get',
    path: '/v1/explanations',
    tag: 'users',
    summary: 'List kept answers',
    description:
      'Lists kept answers with the inputs of each, newest first. The predictor setting `explanations` defines the sampled users and the retention.',
    scope: 'users:read',
    query: KeptQuery,
    answer: {
      description: 'A page',
      schema: KeptPageSchema,
      example: { explanations: [KEPT_EXPLANATION_EXAMPLE], next: null },
    },
    problems: ['unknown_predictor', 'invalid_input', 'unavailable'],
    async handle(context) {
      const { before, ...asked } = pageIn(context, isRowNumber, 'the position of an explanation');
      if (asked.predictor !== undefined) await requirePredictor(registry, asked.predictor);
      const userId = context.req.query('userId');
      const refused = userId === undefined ? undefined : await refusalOf(userId, keyType);
      if (refused) throw refused;
      const from = {
        ...asked,
        ...(userId === undefined ? {} : { userId }),
        ...(before === undefined ? {} : { before: Number(before) }),
      };
      const { page, next } = await pageOf(from, explanations.list, ({ number }) => String(number));
      return { explanations: page.map(keptView), next };
    },
  });
}

/** Rejects other spellings of a user id, which would find no rows although the user may have some. */
async function refusalOf(userId: string, keyType: RouteDependencies['keyType']) {
  return userIdProblem(requireKeyType(await keyType()), userId, 'userId');
}
