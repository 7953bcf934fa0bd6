/** DELETE /v1/users/{userId}: erases a user from every store, with a receipt. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import type { ErasureReceipt } from '@tandem/prediction/erasure/erasure';
import { contextToken } from '@tandem/prediction/events/events';
import { UserPath } from '@tandem/wire/parameters';
import { RECEIPT_EXAMPLE, ReceiptSchema } from '@tandem/wire/users';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { askedUserId } from './asked-user.ts';

export function eraseUser(dependencies: RouteDependencies) {
  return defineEndpoint({
    operationId: 'eraseUser',
    method: 'delete',
    path: '/v1/users/{userId}',
    tag: 'users',
    summary: 'Erase a user',
    scope: 'users:erase',
    params: UserPath,
    answer: {
      description:
        'Erases the user from every store. Until the user is readmitted, reads answer 404, runs skip the user, and events are ignored. Repeating the request returns the same tombstone.',
      schema: ReceiptSchema,
      example: RECEIPT_EXAMPLE,
    },
    problems: ['invalid_input', 'precondition_failed', 'unavailable'],
    async handle({ req }, event) {
      const receipt = await dependencies.eraseUser(await askedUserId(req, dependencies));
      // Logs the number of the erasure, because the log must not name erased users.
      event.add({ erasure: receipt.tombstone.number });
      return receiptView(receipt);
    },
  });
}

function receiptView({ tombstone, postgres, redis }: ErasureReceipt) {
  const { userId, erasedAt, history, version } = tombstone;
  return {
    userId,
    erasedAt: erasedAt.toISOString(),
    contextVersion: version,
    contextToken: contextToken(history, version),
    deleted: { postgres, redis },
  };
}
