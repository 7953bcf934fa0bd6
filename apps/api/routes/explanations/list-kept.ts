/** GET /v1/explanations: answers that were kept, newest first, in pages. */
import { createRoute, z } from '@hono/zod-openapi';
import { KEPT_EXPLANATION_EXAMPLE } from '@tandem/client/explanations';
import type { ExplanationStore } from '@tandem/prediction/explanations/kept-explanation';
import type { KeyType } from '@tandem/prediction/user-id';
import type { Endpoint } from '../../endpoint.ts';
import { jsonResponse } from '../../http/json-response.ts';
import { LIMIT_DEFAULT, limitOf, MAX_LIMIT, pageOf, queryProblem } from '../../http/page-query.ts';
import { problems } from '../../problem-schema.ts';
import { requireKeyType, userIdProblem } from '../../user-id-problem.ts';
import { KeptExplanationSchema, keptView } from './kept-view.ts';

export interface ListKeptDependencies {
  readonly explanations: Pick<ExplanationStore, 'list'>;
  /** The service's key type; null until a first config is adopted. */
  keyType(): Promise<KeyType | null>;
}

const PageSchema = z.strictObject({ explanations: z.array(KeptExplanationSchema), next: z.string().nullable() });

export function listKeptExplanations({ explanations, keyType }: ListKeptDependencies): Endpoint {
  return {
    route,
    scope: 'users:read',
    produces: 'application/json',
    query: ['predictor', 'userId', 'limit', 'before'],
    async handle({ req }) {
      const limit = limitOf(req.query('limit'));
      const [predictor, userId, before] = [req.query('predictor'), req.query('userId'), req.query('before')];
      if (before !== undefined && !/^[1-9][0-9]{0,14}$/.test(before)) {
        throw queryProblem('before', 'not the place of an explanation', "send the page's `next`");
      }
      const refused = userId === undefined ? undefined : await refusalOf(userId, keyType);
      if (refused) throw refused;
      const found = await explanations.list({
        limit: limit + 1,
        ...(predictor === undefined ? {} : { predictor }),
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
    query: z.object({
      predictor: z.string().optional().openapi({ example: 'repurchase' }),
      userId: z.string().optional().openapi({ example: '42' }),
      limit: z.int().min(1).max(MAX_LIMIT).default(LIMIT_DEFAULT).optional(),
      before: z.string().optional().openapi({ description: '`next` of the page before' }),
    }),
  },
  responses: {
    200: {
      description: 'A page',
      content: {
        'application/json': {
          schema: PageSchema,
          example: { explanations: [KEPT_EXPLANATION_EXAMPLE], next: null },
        },
      },
    },
    ...problems('invalid_input', 'unavailable'),
  },
});
