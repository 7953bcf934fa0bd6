/**
 * GET /v1/predictions/{predictor}/{userId}: the hottest path of the service, with one JSON.stringify and one literal of
 * headers. Plain requests are answered without Hono (`readOneDirectly`), and others like those of any endpoint.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { createRoute } from '@hono/zod-openapi';
import { createPredictionCount } from '@tandem/embedded/prediction-view';
import type { Caller } from '@tandem/endpoints/access';
import { cacheStatus, checkIfMatch, matchesETag } from '@tandem/endpoints/caching';
import { problems } from '@tandem/endpoints/describe-problems';
import { createServing, type Endpoint, type ServeOptions } from '@tandem/endpoints/endpoint';
import { problemReply } from '@tandem/endpoints/problem';
import { optionsFor, readOptions } from '@tandem/endpoints/read-options';
import type { Answer } from '@tandem/freshness/answer';
import { notFound, TandemError, unknownPredictor } from '@tandem/freshness/errors';
import type { Predictor } from '@tandem/freshness/predictor';
import type { ReadTimes } from '@tandem/freshness/read-options';
import { userIdProblem } from '@tandem/freshness/user-id';
import type { RequestHead } from '@tandem/http-server/foreign-request';
import { type Reply, responseOf } from '@tandem/http-server/reply';
import type { WideEvent } from '@tandem/telemetry/wide-event';
import { PredictionPath } from '@tandem/wire/parameters';
import { PREDICTION_EXAMPLE, PredictionHeaders, PredictionSchema, ReadHeaders } from '@tandem/wire/predictions';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { renderAnswer } from './prediction-view.ts';

/** A request: the decoded names from the path, and the headers. */
interface ReadOneRequest {
  readonly predictor: string;
  readonly userId: string;
  readonly head: RequestHead;
}

type ReadOne = (request: ReadOneRequest, event: WideEvent, caller: Caller) => Promise<Reply>;

export function readOne(dependencies: RouteDependencies): Endpoint {
  const read = createReadOne(dependencies);
  return {
    ...READ_ONE,
    async handle({ req }, event, caller) {
      const [predictor, userId] = [req.param('predictor') ?? '', req.param('userId') ?? ''];
      return responseOf(await read({ predictor, userId, head: req }, event, caller));
    },
  };
}

function createReadOne(dependencies: RouteDependencies): ReadOne {
  const { readPrediction, registry, metrics, liveFailureLog, onAnswer } = dependencies;
  const count = createPredictionCount(metrics);
  return async function read({ predictor: name, userId, head }, event, caller) {
    const startedAt = performance.now();
    const ofHeaders = readOptions(head, caller.liveQuota);
    const predictor = await registry.predictor(name);
    if (!predictor) throw unknownPredictor(name);
    const refused = userIdProblem(predictor.keyType, userId, 'userId');
    if (refused) throw refused;
    const options = optionsFor(ofHeaders, predictor.policy.freshness.maxAgeMs);
    const times: ReadTimes = {};
    event.add(times);
    const [result] = await readPrediction(name, [userId], options, times);
    const tookMs = performance.now() - startedAt;
    if (result) onAnswer({ predictor, userId, result, ms: tookMs, features: 'stored' });
    if (result === undefined || result instanceof TandemError) {
      metrics.predictionErrors.inc({ predictor: name, code: result?.code ?? 'unknown_user' });
      throw result ?? notFound(userId);
    }
    // Checked last, because errors of the read come before the condition (RFC 9110, 13.2.1).
    checkIfMatch(head.header('if-match'));
    const { source, reason } = result;
    count(result);
    event.add({ predictor: name, source, reason });
    if (result.liveFailure !== undefined) liveFailureLog(event, { predictor: name, userIds: [userId] }, [result]);
    return replyOf(result, predictor, head.header('if-none-match'), tookMs);
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
    'Returns the stored prediction while it is fresh, otherwise infers live. `Cache-Control` changes this: `no-cache` infers now, `only-if-cached` never infers, `max-age=N` and `min-fresh=N` demand a fresher answer, and `max-stale[=N]` allows a stale one.',
  request: {
    params: PredictionPath,
    headers: ReadHeaders,
  },
  responses: {
    200: {
      description: 'The prediction and its freshness',
      content: { 'application/json': { schema: PredictionSchema, example: PREDICTION_EXAMPLE } },
      headers: PredictionHeaders,
    },
    304: {
      description: 'The answer of the tag in If-None-Match is still current. It was certified like any other read',
    },
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
      'request_features_required',
      'output_unusable',
      'overloaded',
      'unavailable',
      'protocol_unknown',
      'not_cached',
    ),
  },
});

/** The endpoint without its handler. */
const READ_ONE = Object.freeze({ route, scope: 'predictions:read', produces: 'application/json' });

// Answers plain reads of one user with the request and response of Node.js. Hono's Request, router and Response would
// cost such a read about 7 µs of 40 µs. Requests with escapes, queries, bodies or other methods are left to Hono. The
// same code answers both kinds.

/** Answers a request. Returns false if it leaves the request to another listener, and has then changed nothing. */
type DirectListener = (incoming: IncomingMessage, outgoing: ServerResponse) => boolean;

/** Matches paths that need no decoding and have no part `.` or `..`. */
const PLAIN_PATH = /^\/v1\/predictions\/([\w-][\w.~-]*)\/([\w-][\w.~-]*)$/;
const PLAIN_HOST = /^[\w.-]+(?::\d+)?$/;

export function readOneDirectly(dependencies: RouteDependencies & ServeOptions): DirectListener {
  const read = createReadOne(dependencies);
  const serve = createServing<Reply>(READ_ONE, dependencies, problemReply);
  return function listen(incoming, outgoing) {
    const path = isPlain(incoming) ? PLAIN_PATH.exec(incoming.url ?? '') : null;
    if (!path) return false;
    const [url = '', predictor = '', userId = ''] = path;
    void answer({ predictor, userId, head: headOf(incoming, url) }, outgoing);
    return true;
  };

  async function answer(request: ReadOneRequest, outgoing: ServerResponse): Promise<void> {
    try {
      send(outgoing, await serve(request.head, (event, caller) => read(request, event, caller)));
    } catch (error) {
      dependencies.log.error('request.failed', { path: request.head.url, error });
      outgoing.destroy();
    }
  }
}

function isPlain({ method, headers }: IncomingMessage): boolean {
  if (method !== 'GET' || headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined) {
    return false;
  }
  return headers.host !== undefined && PLAIN_HOST.test(headers.host);
}

function headOf({ headers }: IncomingMessage, url: string): RequestHead {
  return {
    url,
    header(name) {
      const value = headers[name];
      return typeof value === 'string' ? value : undefined;
    },
  };
}

function send(outgoing: ServerResponse, { status, headers, body }: Reply): void {
  // A flat list, which Node.js reads without a copy.
  const fields: string[] = [];
  for (const name in headers) fields.push(name, headers[name] as string);
  if (body === null) {
    outgoing.writeHead(status, fields);
    outgoing.end();
    return;
  }
  const length = Buffer.byteLength(body);
  // Without the length, Node.js would send the body in chunks.
  fields.push('content-length', String(length));
  outgoing.writeHead(status, fields);
  // If the text has as many bytes as characters, it is ASCII, which Node.js writes faster as latin1.
  outgoing.end(body, length === body.length ? 'latin1' : 'utf8');
}
