/**
 * POST /v1/predictions/{predictor}: predictions of up to 1,000 users, an answer or an error for each, in order. However
 * many they are, each store is asked once.
 */
import { createPredictionCount, predictionView } from '@tandem/embedded/prediction-view';
import type { ReadResult } from '@tandem/freshness/answer';
import { isTandemError, TandemError, unknownPredictor } from '@tandem/freshness/errors';
import type { Predictor } from '@tandem/freshness/predictor';
import type { ReadTimes, RequestFeatures, RequestRead } from '@tandem/freshness/read-options';
import { type KeyType, userIdProblem } from '@tandem/freshness/user-id';
import { RequestError } from '@tandem/http-server/request-error';
import { PredictorPath } from '@tandem/wire/parameters';
import {
  MAX_USERS,
  PREDICTION_EXAMPLE,
  PredictionsSchema,
  ReadManyHeaders,
  ReadManySchema,
} from '@tandem/wire/predictions';
import type { Answered } from '@tandem/wire/schema';
import { parseBody } from '../../http/body.ts';
import { jsonEndpoint } from '../../http/json-endpoint.ts';
import { toProblem } from '../../http/problem.ts';
import type { ReadDependencies } from './read-one.ts';
import { MIN_CONTEXT, optionsFor, readOptions } from './read-options.ts';

interface ReadNote {
  readonly predictor: Predictor;
  readonly userIds: readonly string[];
  readonly results: readonly ReadResult[];
  readonly ms: number;
  /** Whether a stored prediction could have answered: only then do the reads count as demand for one. */
  readonly isDemand: boolean;
}

const BODY = { schema: ReadManySchema, example: { userIds: ['42', '43', '043'] } };

export function readMany(dependencies: ReadDependencies) {
  const { readPrediction, registry, metrics, servedReads, readCounts, liveFailureLog } = dependencies;
  const count = createPredictionCount(metrics);

  /** Counts the results, and returns whether live inference failed for an answered user. */
  function countAll(name: string, results: readonly ReadResult[], hasFeatures: boolean): boolean {
    let hasLiveFailure = false;
    for (const result of results) {
      if (result instanceof TandemError) metrics.predictionErrors.inc({ predictor: name, code: result.code });
      else {
        const { predictor, source, reason } = result;
        count(result);
        if (hasFeatures) metrics.requestPredictions.inc({ predictor, source, reason });
        hasLiveFailure ||= result.liveFailure !== undefined;
      }
    }
    return hasLiveFailure;
  }

  function noteAll({ predictor, userIds, results, ms, isDemand }: ReadNote): void {
    for (const [i, result] of results.entries()) {
      const userId = userIds[i] ?? '';
      servedReads.note({ predictor, userId, result, ms });
      if (isDemand) readCounts.note(userId, result);
    }
  }

  return jsonEndpoint({
    operationId: 'readPredictions',
    method: 'post',
    path: '/v1/predictions/{predictor}',
    tag: 'predictions',
    summary: 'Predictions of many users',
    description: `Up to ${MAX_USERS} users; an answer or an error for each, in the order asked, duplicates included. \`Cache-Control\` is honoured as in a single read. With \`users\` the call sends request features: each user is inferred for this call, nothing is stored, and a value that the predictor does not take refuses the call.`,
    scope: 'predictions:read',
    params: PredictorPath,
    headers: ReadManyHeaders,
    body: BODY,
    answer: {
      description: 'In the order of userIds',
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
    problems: ['unknown_predictor', 'request_features_required', 'unavailable', 'protocol_unknown'],
    async handle(context, event, caller) {
      const startedAt = performance.now();
      const name = context.req.param('predictor') ?? '';
      if (context.req.header(MIN_CONTEXT) !== undefined) throw tokenOfOneUser();
      const demanded = readOptions(context.req, caller.liveQuota);
      const { userIds: ids = [], users } = await parseBody(context, BODY);
      const predictor = await registry.predictor(name);
      if (!predictor) throw unknownPredictor(name);
      const userIds = users?.map(({ userId }) => userId) ?? ids;
      const { valid, places, refused } = sort(predictor.keyType, userIds, users ? userAt : userIdAt);
      const plain = optionsFor(demanded, predictor.policy.freshness.maxAgeMs);
      const options = users ? { ...plain, request: requestOf(users, places) } : plain;
      const times: ReadTimes = {};
      event.add(times);
      event.add({ predictor: name, users: userIds.length });
      const read = valid.length === 0 ? [] : await readPrediction(name, valid, options, times);
      const ms = performance.now() - startedAt;
      noteAll({ predictor, userIds: valid, results: read, ms, isDemand: users === undefined });
      const cause = read[0];
      if (isTandemError(cause, 'unavailable', 'protocol_unknown') && read.every((result) => result === cause))
        throw cause;
      const inOrder = read.values();
      const results = userIds.map((_, i) => refused.get(i) ?? (inOrder.next().value as ReadResult));
      const hasLiveFailure = countAll(name, results, users !== undefined);
      event.add({
        refused: refused.size,
        get answers() {
          return tally(results);
        },
      });
      if (hasLiveFailure) liveFailureLog(event, results);
      const body = JSON.stringify(answerOf(results, userIds, users ? 'users' : 'userIds'));
      tellOf(results, predictor, dependencies);
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

/** Those that look on, when the reply is made. */
function tellOf(
  results: readonly ReadResult[],
  predictor: Predictor,
  { shadow, explanationKeeper }: Pick<ReadDependencies, 'shadow' | 'explanationKeeper'>,
): void {
  for (const result of results) {
    if (result instanceof TandemError) continue;
    shadow.notice(result);
    explanationKeeper.notice(result, predictor);
  }
}

/** How many of each kind: `batch fresh`, `stale live_timeout`, `error unknown_user`. Counted where the event is written. */
function tally(results: readonly ReadResult[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const result of results) {
    const kind = result instanceof TandemError ? `error ${result.code}` : `${result.source} ${result.reason}`;
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

const userIdAt = (place: number) => `userIds[${place}]`;
const userAt = (place: number) => `users[${place}].userId`;

/** The ids to read, in order, with their places in the call, and by place those that are no ids. */
function sort(keyType: KeyType, userIds: readonly string[], fieldAt: (place: number) => string) {
  const refused = new Map<number, TandemError>();
  const places: number[] = [];
  const valid = userIds.filter((userId, i) => {
    const problem = userIdProblem(keyType, userId, fieldAt(i));
    if (problem) refused.set(i, problem);
    else places.push(i);
    return problem === undefined;
  });
  return { valid, places, refused };
}

function requestOf(users: readonly { readonly features: RequestFeatures }[], places: readonly number[]): RequestRead {
  return { rows: places.map((place) => users[place]?.features ?? {}), at: (row) => `users[${places[row]}]` };
}

function answerOf(
  results: readonly ReadResult[],
  userIds: readonly string[],
  field: 'userIds' | 'users',
): Answered<typeof PredictionsSchema> {
  const items = results.map((result, i) => {
    if (!(result instanceof TandemError)) return predictionView(result);
    return { userId: userIds[i] ?? '', error: toProblem(result, undefined, `${field}[${i}]`).problem };
  });
  return { results: items };
}

function tokenOfOneUser(): RequestError {
  return new RequestError('malformed_request', 'A context token is of one user; this path reads many.', {
    field: 'Prediction-Min-Context',
    remedy: 'read that user by GET, or leave the header out',
  });
}
