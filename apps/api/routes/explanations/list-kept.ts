/** GET /v1/explanations: answers that were kept, newest first, in pages. */
import { createRoute } from '@hono/zod-openapi';
import { unknownPredictor } from '@tandem/freshness/errors';
import type { Registry } from '@tandem/freshness/reader';
import { type KeyType, requireKeyType, userIdProblem } from '@tandem/freshness/user-id';
import type { ExplanationStore } from '@tandem/prediction/explanations/kept-explanation';
import { KEPT_EXPLANATION_EXAMPLE, KeptPageSchema, KeptQuery } from '@tandem/wire/kept-explanations';
import { PAGE_QUERY } from '@tandem/wire/page';
import { jsonResponse } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { isRowNumber, pageIn, pageOf } from '../../http/page-query.ts';
import { problems } from '../../http/problems.ts';
import { keptView } from './kept-view.ts';

export interface ListKeptDependencies {
  readonly explanations: Pick<ExplanationStore, 'list'>;
  readonly registry: Pick<Registry, 'predictor'>;
  /** The service's key type; null until a first config is adopted. */
  keyType(): Promise<KeyType | null>;
}

export function listKeptExplanations({ explanations, registry, keyType }: ListKeptDependencies): Endpoint {
  return {
    route,
    scope: 'users:read',
    produces: 'application/json',
    query: [...PAGE_QUERY, 'userId'],
    async handle(context) {
      const { before, ...asked } = pageIn(context, isRowNumber, 'the place of an explanation');
      const { limit, predictor } = asked;
      if (predictor !== undefined && !(await registry.predictor(predictor))) throw unknownPredictor(predictor);
      const userId = context.req.query('userId');
      const refused = userId === undefined ? undefined : await refusalOf(userId, keyType);
      if (refused) throw refused;
      const found = await explanations.list({
        ...asked,
        limit: limit + 1,
        ...(userId === undefined ? {} : { userId }),
        ...(before === undefined ? {} : { before: Number(before) }),
      });
      const { page, next } = pageOf(found, limit, ({ number }) => String(number));
      return jsonResponse({ explanations: page.map(keptView), next });
    },
  };
}

/** Another spelling of a user would find nothing, and say that there is nothing. */
async function refusalOf(userId: string, keyType: ListKeptDependencies['keyType']) {
  return userIdProblem(requireKeyType(await keyType()), userId, 'userId');
}

const route = createRoute({
  operationId: 'listKeptExplanations',
  method: 'get',
  path: '/v1/explanations',
  tags: ['users'],
  summary: 'Answers that were kept',
  description:
    'With what each was made of, newest first. Which users are among them, and for how long, the setting `explanations` of a predictor says.',
  request: {
    query: KeptQuery,
  },
  responses: {
    200: {
      description: 'A page',
      content: {
        'application/json': {
          schema: KeptPageSchema,
          example: { explanations: [KEPT_EXPLANATION_EXAMPLE], next: null },
        },
      },
    },
    ...problems('unknown_predictor', 'invalid_input', 'unavailable'),
  },
});
