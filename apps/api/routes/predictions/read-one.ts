/**
 * GET /v1/predictions/{predictor}/{userId}: the hottest path of the service. A plain handler, one JSON.stringify, and
 * headers in one literal, which @hono/node-server writes without making a Headers object of them.
 */
import { createRoute, z } from '@hono/zod-openapi';
import { PREDICTION_EXAMPLE } from '@tandem/client/wire-examples';
import type { Answer } from '@tandem/prediction/answer';
import { TandemError } from '@tandem/prediction/errors';
import type { Predictor } from '@tandem/prediction/predictor';
import { unknownPredictor } from '@tandem/prediction/read-errors';
import type { PredictionReader, Registry } from '@tandem/prediction/read-prediction';
import type { Metrics } from '@tandem/telemetry/metrics';
import type { Endpoint } from '../../endpoint.ts';
import { cacheStatus } from '../../http/cache-status.ts';
import { matchesETag, weakETag } from '../../http/etag.ts';
import { predictorParameter, userIdParameter } from '../../parameters.ts';
import { problems } from '../../problem-schema.ts';
import { userIdProblem } from '../../user-id-problem.ts';
import { PredictionSchema, predictionView } from './prediction-view.ts';
import { readOptions } from './read-options.ts';

export interface ReadDependencies {
  readonly readPrediction: PredictionReader;
  readonly registry: Pick<Registry, 'predictor'>;
  readonly metrics: Pick<Metrics, 'predictions' | 'predictionErrors'>;
}

export function readOne({ readPrediction, registry, metrics }: ReadDependencies): Endpoint {
  return {
    route,
    produces: 'application/json',
    async handle(context, event) {
      const startedAt = performance.now();
      const name = context.req.param('predictor') ?? '';
      const userId = context.req.param('userId') ?? '';
      const options = readOptions(context.req);
      const predictor = await registry.predictor(name);
      if (!predictor) throw unknownPredictor(name);
      const refused = userIdProblem(predictor.keyType, userId, 'userId');
      if (refused) throw refused;
      const [result] = await readPrediction(name, [userId], options);
      if (result === undefined || result instanceof TandemError) {
        metrics.predictionErrors.inc({ predictor: name, code: result?.code ?? 'unknown_user' });
        throw result ?? new TandemError('unknown_user', 'There is no such user.');
      }
      metrics.predictions.inc({ predictor: name, source: result.source, reason: result.reason });
      event.add({ predictor: name, source: result.source, reason: result.reason });
      return respond(result, predictor, context.req.header('if-none-match'), performance.now() - startedAt);
    },
  };
}

function respond(answer: Answer, predictor: Predictor, ifNoneMatch: string | undefined, tookMs: number): Response {
  const etag = answerETag(answer);
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
  if (!isKnown) return new Response(JSON.stringify(predictionView(answer)), { status: 200, headers });
  delete headers['content-type'];
  return new Response(null, { status: 304, headers });
}

/** Over everything that makes an answer another one; not its age, so that an answer that only grows older is a 304. */
function answerETag(answer: Answer): string {
  return weakETag([
    answer.predictor,
    answer.userId,
    JSON.stringify(answer.prediction),
    answer.source,
    answer.reason,
    answer.contextVersion,
    answer.predictedFromContextVersion,
    answer.history,
    answer.modelNumber,
    answer.variant,
    answer.generationNumber,
  ]);
}

const route = createRoute({
  operationId: 'readPrediction',
  method: 'get',
  path: '/v1/predictions/{predictor}/{userId}',
  tags: ['predictions'],
  summary: 'One prediction',
  description:
    "The stored prediction while it is fresh, a live one where the user's context is fresher. `Cache-Control` demands more or less: `no-cache` infers now, `only-if-cached` never does, `max-age=N`, `max-stale[=N]`.",
  request: {
    params: z.object({ predictor: predictorParameter, userId: userIdParameter }),
    headers: z.object({
      'cache-control': z.string().optional().openapi({ example: 'max-age=3600' }),
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
      'no_prediction',
      'live_timeout',
      'live_failed',
      'overloaded',
      'unavailable',
      'not_cached',
    ),
  },
});
