/**
 * POST /v1/predictions/{predictor}: predictions of up to 1,000 users, with an answer or an error for each, in order.
 * Each store is asked once for each hundred users.
 */
import { setImmediate } from 'node:timers/promises';
import { predictionView } from '@tandem/embedded/prediction-view';
import { parseBody } from '@tandem/endpoints/body';
import { patienceOf } from '@tandem/endpoints/caller-patience';
import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { toProblem } from '@tandem/endpoints/problem';
import { MIN_CONTEXT, readOptions, tokenOfOneUser } from '@tandem/endpoints/read-options';
import type { ReadResult } from '@tandem/freshness/answer';
import { TandemError } from '@tandem/freshness/errors';
import { userIdProblem } from '@tandem/freshness/user-id';
import { PredictorPath } from '@tandem/wire/parameters';
import {
  MAX_USERS,
  PREDICTION_EXAMPLE,
  PredictionsSchema,
  ReadManyHeaders,
  ReadManySchema,
} from '@tandem/wire/predictions';
import type { Answered } from '@tandem/wire/schema';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';

const BODY = { schema: ReadManySchema, example: { userIds: ['42', '43', '043'] } };
/** The form in errors: its ids fit whole numbers and texts, unlike `043`, whose rejection the description shows. */
const FORM = {
  schema: ReadManySchema,
  example: { userIds: ['42', '43'] },
  examples: { users: { users: [{ userId: '42', features: { amount: 129.9 } }] } },
};

export function readMany({ answerMany }: RouteDependencies) {
  return defineEndpoint({
    operationId: 'readPredictions',
    method: 'post',
    path: '/v1/predictions/{predictor}',
    tag: 'predictions',
    summary: 'Predictions of many users',
    description: `Reads up to ${MAX_USERS} users. The results are in the order of the request, with an answer or an error for each id, duplicates included. \`Cache-Control\` is honoured as in a single read. With \`users\` the request sends request features: each user is inferred for this request, and nothing is stored. A value that the predictor does not take is an error of the whole request.`,
    scope: 'predictions:read',
    params: PredictorPath,
    headers: ReadManyHeaders,
    body: BODY,
    answer: {
      description: 'The results, in the order of userIds',
      schema: PredictionsSchema,
      example: {
        results: [
          PREDICTION_EXAMPLE,
          { ...PREDICTION_EXAMPLE, userId: '43' },
          {
            userId: '043',
            error: toProblem(userIdProblem('int8', '043', 'userIds[2]')).problem,
          },
        ],
      },
    },
    problems: ['unknown_predictor', 'unavailable', 'protocol_unknown'],
    async handle(context, event, caller) {
      const startedAt = performance.now();
      const predictor = context.req.param('predictor') ?? '';
      if (context.req.header(MIN_CONTEXT) !== undefined) throw tokenOfOneUser();
      const ofHeaders = { ...readOptions(context.req, caller.liveQuota), patience: patienceOf(context.req) };
      const { userIds: ids = [], users } = await parseBody(context, FORM);
      const userIds = users?.map(({ userId }) => userId) ?? ids;
      const entryOf = users ? (i: number) => `users[${i}]` : (i: number) => `userIds[${i}]`;
      const fieldOf = users ? (i: number) => `users[${i}].userId` : entryOf;
      const request = users && { features: users.map(({ features }) => features), entryOf };
      const { results, tell } = await answerMany({ predictor, userIds, ofHeaders, fieldOf, request }, event);
      const body = await render(results, userIds, entryOf);
      tell();
      return new Response(body, {
        headers: {
          'content-type': 'application/json',
          'cache-control': users ? 'no-store' : 'private, no-cache',
          'server-timing': `read;dur=${(performance.now() - startedAt).toFixed(2)}`,
          'x-content-type-options': 'nosniff',
        },
      });
    },
  });
}

/** The results that are written at once. They take the event loop less than a millisecond. */
const A_SLICE = 100;

const OPENING = Buffer.from('{"results":[');
const CLOSING = Buffer.from(']}');

type Items = Answered<typeof PredictionsSchema>['results'];

/** Writes the body in slices, between which the process answers other requests. */
async function render(
  results: readonly ReadResult[],
  userIds: readonly string[],
  entryOf: (i: number) => string,
): Promise<Uint8Array<ArrayBuffer>> {
  const slices: Buffer[] = [];
  for (let first = 0; first < results.length; first += A_SLICE) {
    if (first > 0) await setImmediate();
    const items: Items = results.slice(first, first + A_SLICE).map((result, n) => {
      if (!(result instanceof TandemError)) return predictionView(result);
      const i = first + n;
      return { userId: userIds[i] ?? '', error: toProblem(result, undefined, entryOf(i)).problem };
    });
    slices.push(Buffer.from(`${first > 0 ? ',' : ''}${JSON.stringify(items).slice(1, -1)}`));
  }
  return Buffer.concat([OPENING, ...slices, CLOSING]);
}
