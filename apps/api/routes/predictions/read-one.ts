/**
 * GET /v1/predictions/{predictor}/{userId}: the hottest path of the service, one JSON.stringify and headers in one
 * literal. Plain requests come by read-one-directly.ts, without Hono between; all others as those of any endpoint.
 */
import { createRoute, z } from '@hono/zod-openapi';
import { PREDICTION_EXAMPLE } from '@tandem/client/wire-examples';
import type { Answer } from '@tandem/freshness/answer';
import { TandemError } from '@tandem/freshness/errors';
import type { Predictor } from '@tandem/freshness/predictor';
import { unknownPredictor } from '@tandem/freshness/read-errors';
import type { ReadTimes } from '@tandem/freshness/read-times';
import type { PredictionReader, Registry } from '@tandem/freshness/reader';
import type { RequestHead } from '@tandem/http-server/foreign-request';
import { type Reply, responseOf } from '@tandem/http-server/reply';
import type { KeptAnswers } from '@tandem/prediction/explanations/keep-explanations';
import type { ServedReads } from '@tandem/prediction/rollouts/count-served-reads';
import type { Shadow } from '@tandem/prediction/shadow/create-shadow';
import type { Metrics } from '@tandem/telemetry/metrics';
import type { WideEvent } from '@tandem/telemetry/wide-event';
import { cacheStatus } from '../../http/cache-status.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { checkIfMatch, matchesETag } from '../../http/etag.ts';
import { predictorParameter, userIdParameter } from '../../http/parameters.ts';
import { problems } from '../../http/problem-schema.ts';
import { userIdProblem } from '../../http/user-id-problem.ts';
import type { Caller } from '../../keys/access.ts';
import { createPredictionCount } from './count-predictions.ts';
import { PredictionSchema } from './prediction-view.ts';
import { optionsFor, readOptions } from './read-options.ts';
import { renderAnswer } from './render-answer.ts';

export interface ReadDependencies {
  readonly readPrediction: PredictionReader;
  readonly registry: Pick<Registry, 'predictor'>;
  readonly metrics: Pick<Metrics, 'predictions' | 'predictionErrors'>;
  /** Told of every answer. */
  readonly shadow: Pick<Shadow, 'notice'>;
  /** Told of every user's result. */
  readonly servedReads: Pick<ServedReads, 'note'>;
  /** Told of every answer. */
  readonly keptAnswers: Pick<KeptAnswers, 'notice'>;
}

/** What is asked: names as they stand in the path, decoded, and the request's headers. */
export interface ReadOneRequest {
  readonly predictor: string;
  readonly userId: string;
  readonly head: RequestHead;
}

export type ReadOne = (request: ReadOneRequest, event: WideEvent, caller: Caller) => Promise<Reply>;

export function readOne(dependencies: ReadDependencies): Endpoint {
  const read = createReadOne(dependencies);
  return {
    ...READ_ONE,
    async handle({ req }, event, caller) {
      const [predictor, userId] = [req.param('predictor') ?? '', req.param('userId') ?? ''];
      return responseOf(await read({ predictor, userId, head: req }, event, caller));
    },
  };
}

export function createReadOne(dependencies: ReadDependencies): ReadOne {
  const { readPrediction, registry, metrics, shadow, servedReads, keptAnswers } = dependencies;
  const count = createPredictionCount(metrics);
  return async function read({ predictor: name, userId, head }, event, caller) {
    const startedAt = performance.now();
    const demanded = readOptions(head, caller.liveQuota);
    const predictor = await registry.predictor(name);
    if (!predictor) throw unknownPredictor(name);
    const refused = userIdProblem(predictor.keyType, userId, 'userId');
    if (refused) throw refused;
    const options = optionsFor(demanded, predictor.policy.freshness.maxAgeMs);
    const times: ReadTimes = {};
    event.add(times);
    const [result] = await readPrediction(name, [userId], options, times);
    const tookMs = performance.now() - startedAt;
    if (result) servedReads.note({ predictor, userId, result, ms: tookMs });
    if (result === undefined || result instanceof TandemError) {
      metrics.predictionErrors.inc({ predictor: name, code: result?.code ?? 'unknown_user' });
      throw result ?? new TandemError('unknown_user', 'There is no such user.');
    }
    // Only now: an error that the read meets anyway comes before the condition (RFC 9110, 13.2.1).
    checkIfMatch(head.header('if-match'));
    const { source, reason } = result;
    count(name, source, reason);
    event.add({ predictor: name, source, reason });
    const reply = replyOf(result, predictor, head.header('if-none-match'), tookMs);
    shadow.notice(result);
    keptAnswers.notice(result, predictor);
    return reply;
  };
}

function replyOf(answer: Answer, predictor: Predictor, ifNoneMatch: string | undefined, tookMs: number): Reply {
  const { etag, body } = renderAnswer(answer);
  const isKnown = ifNoneMatch !== undefined && matchesETag(ifNoneMatch, etag);
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'cache-control': 'private, no-cache',
    etag,
    'cache-status': cacheStatus(answer, predictor.policy.freshness.maxAgeMs),
    'server-timing': `read;dur=${tookMs.toFixed(2)}`,
    'x-content-type-options': 'nosniff',
  };
  if (answer.ageSeconds !== null) headers.age = String(answer.ageSeconds);
  if (!isKnown) return { status: 200, headers, body };
  delete headers['content-type'];
  return { status: 304, headers, body: null };
}

const route = createRoute({
  operationId: 'readPrediction',
  method: 'get',
  path: '/v1/predictions/{predictor}/{userId}',
  tags: ['predictions'],
  summary: 'One prediction',
  description:
    "The stored prediction while it is fresh, a live one where the user's context is fresher. `Cache-Control` demands more or less: `no-cache` infers now, `only-if-cached` never does, `max-age=N`, `min-fresh=N`, `max-stale[=N]`.",
  request: {
    params: z.object({ predictor: predictorParameter, userId: userIdParameter }),
    headers: z.object({
      'cache-control': z.string().optional().openapi({ example: 'max-age=3600' }),
      'if-match': z
        .string()
        .optional()
        .openapi({ description: 'Only `*` holds: the tags of answers are weak', example: '*' }),
      'if-none-match': z.string().optional().openapi({ example: 'W/"kGm2H0c1Qm9uYkq0mB7Lsg"' }),
      'prediction-min-context': z
        .string()
        .optional()
        .openapi({ description: "An acknowledged event's contextToken", example: '9f2c4a1be07d3358.6' }),
    }),
  },
  responses: {
    200: {
      description: 'The prediction, and how fresh it is',
      content: { 'application/json': { schema: PredictionSchema, example: PREDICTION_EXAMPLE } },
      headers: z.object({
        age: z.string().optional().openapi({ description: 'Seconds since it was computed', example: '31842' }),
        etag: z.string().openapi({ example: 'W/"kGm2H0c1Qm9uYkq0mB7Lsg"' }),
        'cache-control': z.string().openapi({ example: 'private, no-cache' }),
        'cache-status': z.string().openapi({ description: 'RFC 9211', example: 'tandem; hit; ttl=97758' }),
        'server-timing': z.string().openapi({ example: 'read;dur=0.62' }),
      }),
    },
    304: { description: 'The answer named by If-None-Match still stands; it was checked like any other read' },
    ...problems(
      'unknown_predictor',
      'unknown_user',
      'invalid_input',
      'history_changed',
      'context_not_reached',
      'precondition_failed',
      'no_prediction',
      'features_failed',
      'live_timeout',
      'live_failed',
      'features_unusable',
      'output_unusable',
      'overloaded',
      'unavailable',
      'not_cached',
    ),
  },
});

/** The endpoint but for its handler. */
export const READ_ONE = Object.freeze({ route, scope: 'predictions:read', produces: 'application/json' });
