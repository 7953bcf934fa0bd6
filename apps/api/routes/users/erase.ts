/** DELETE /v1/users/{userId}: erases a user from every store, with a receipt. */
import { createRoute, z } from '@hono/zod-openapi';
import { RECEIPT_EXAMPLE } from '@tandem/client/wire-examples';
import type { ErasureReceipt } from '@tandem/prediction/erasure/erasure';
import { contextToken } from '@tandem/prediction/events/events';
import { jsonResponse } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { userIdParameter } from '../../http/parameters.ts';
import { problems } from '../../http/problem-schema.ts';
import { askedUserId, type ErasureDependencies } from './erasure-dependencies.ts';

export function eraseUser(dependencies: ErasureDependencies): Endpoint {
  return {
    route,
    scope: 'users:erase',
    produces: 'application/json',
    async handle({ req }, event) {
      const receipt = await dependencies.eraseUser(await askedUserId(req, dependencies));
      // By its number: the log is no place for who was erased.
      event.add({ erasure: receipt.tombstone.number });
      return jsonResponse(receiptView(receipt));
    },
  };
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

const count = (description: string) => z.int().meta({ description });

const ReceiptSchema = z
  .strictObject({
    userId: z.string(),
    erasedAt: z.iso.datetime().meta({ description: "Of the tombstone, on the database's clock" }),
    contextVersion: z.int().meta({ description: 'Of the tombstone: nothing computed from it or before is served' }),
    contextToken: z.string(),
    deleted: z
      .strictObject({
        postgres: z.strictObject({
          contextValues: count('Feature values that events had left'),
          events: count('Events whose data was cleared'),
          predictions: count('In published generations'),
          overlayEntries: count('Live answers, and those of partial runs'),
          runFailures: count('Places in reports of who could not be scored'),
          outcomes: count('Outcomes that were cleared'),
          exposures: count('First answers from arms of rollouts'),
          keptExplanations: count('Answers that were kept with their features'),
        }),
        redis: z.strictObject({ predictions: z.int(), overlayEntries: z.int() }),
      })
      .meta({ description: 'What was found now; nothing where the user was erased before' }),
  })
  .meta({ id: 'ErasureReceipt' });

const route = createRoute({
  operationId: 'eraseUser',
  method: 'delete',
  path: '/v1/users/{userId}',
  tags: ['users'],
  summary: 'Erase a user',
  request: { params: z.object({ userId: userIdParameter }) },
  responses: {
    200: {
      description:
        'Erased, from every store: reads answer 404, runs skip the user, and events count for nothing, until the user is readmitted. To repeat it gives the same tombstone.',
      content: { 'application/json': { schema: ReceiptSchema, example: RECEIPT_EXAMPLE } },
    },
    ...problems('invalid_input', 'precondition_failed', 'unavailable'),
  },
});
