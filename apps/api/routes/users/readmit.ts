/** POST /v1/users/{userId}/readmit: ends an erasure. Erased records stay deleted; the user starts without them. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { contextToken } from '@tandem/prediction/events/events';
import { UserPath } from '@tandem/wire/parameters';
import { READMISSION_EXAMPLE, ReadmissionSchema } from '@tandem/wire/users';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { askedUserId } from './asked-user.ts';

export function readmitUser(dependencies: RouteDependencies) {
  return defineEndpoint({
    operationId: 'readmitUser',
    method: 'post',
    path: '/v1/users/{userId}/readmit',
    tag: 'users',
    summary: 'End an erasure',
    scope: 'users:erase',
    params: UserPath,
    answer: {
      description:
        'The user is served again, with predictions computed from now on. Without an erasure nothing changes',
      schema: ReadmissionSchema,
      example: READMISSION_EXAMPLE,
    },
    problems: ['invalid_input', 'precondition_failed', 'unavailable'],
    async handle({ req }) {
      const userId = await askedUserId(req, dependencies);
      const { wasErased, history, version } = await dependencies.readmitUser(userId);
      return {
        userId,
        status: wasErased ? ('readmitted' as const) : ('not_erased' as const),
        contextVersion: version,
        contextToken: contextToken(history, version),
      };
    },
  });
}
