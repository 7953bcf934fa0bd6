/** POST /v1/users/{userId}/readmit: ends an erasure. What was erased stays so; the user begins anew. */
import { createRoute } from '@hono/zod-openapi';
import { contextToken } from '@tandem/prediction/events/events';
import { UserPath } from '@tandem/wire/parameters';
import { READMISSION_EXAMPLE, ReadmissionSchema } from '@tandem/wire/users';
import { jsonResponse } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { problems } from '../../http/problems.ts';
import { askedUserId, type ErasureDependencies } from './erasure-dependencies.ts';

export function readmitUser(dependencies: ErasureDependencies): Endpoint {
  return {
    route,
    scope: 'users:erase',
    produces: 'application/json',
    async handle({ req }) {
      const userId = await askedUserId(req, dependencies);
      const { wasErased, history, version } = await dependencies.readmitUser(userId);
      return jsonResponse({
        userId,
        status: wasErased ? 'readmitted' : 'not_erased',
        contextVersion: version,
        contextToken: contextToken(history, version),
      });
    },
  };
}

const route = createRoute({
  operationId: 'readmitUser',
  method: 'post',
  path: '/v1/users/{userId}/readmit',
  tags: ['users'],
  summary: 'End an erasure',
  request: { params: UserPath },
  responses: {
    200: {
      description:
        'The user is served again, from what is computed from now on; where none was erased, nothing changed',
      content: {
        'application/json': {
          schema: ReadmissionSchema,
          example: READMISSION_EXAMPLE,
        },
      },
    },
    ...problems('invalid_input', 'precondition_failed', 'unavailable'),
  },
});
