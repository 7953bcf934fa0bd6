/** An endpoint, as each route file exports it: its description in the OpenAPI document and its handler. */

import type { RouteConfig } from '@hono/zod-openapi';
import type { ErrorCode } from '@tandem/freshness/error-codes';
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import { checkHost, checkOrigin, type HostRule, type RequestHead } from '@tandem/http-server/foreign-request';
import type { Log } from '@tandem/telemetry/log';
import type { Metrics } from '@tandem/telemetry/metrics';
import { serialiseRefusal } from '@tandem/telemetry/serialise-error';
import { startWideEvent, type WideEvent } from '@tandem/telemetry/wide-event';
import type { Context, Handler } from 'hono';
import type { Access, Caller, RouteScope } from './access.ts';
import { accepts } from './body.ts';
import type { RefusalForm } from './describe-problems.ts';
import { type HttpProblem, problemResponse, toProblem } from './problem.ts';
import { isOneOfMany, type RefusalLog } from './refusal-log.ts';

export interface Endpoint {
  /** Its OpenAPI description. `path` has OpenAPI form; `operationId` names the endpoint in logs and metrics. */
  readonly route: RouteConfig & { readonly operationId: string };
  /** The scope that a key needs for this endpoint. */
  readonly scope: RouteScope;
  /** The media type of the endpoint's answers, which `Accept` must allow. */
  readonly produces: string;
  /** The known query parameters; others are rejected. */
  readonly query?: readonly string[];
  /** The form of the endpoint's rejections; absent: problem documents. */
  readonly refusals?: RefusalForm;
  /**
   * Returns the answer, or throws a TandemError. Fields added to the event are logged with the request.
   */
  handle(context: Context, event: WideEvent, caller: Caller): Response | Promise<Response>;
}

/** Returns the path in Hono's form. */
export function honoPath(endpoint: Endpoint): string {
  return endpoint.route.path.replace(/\{(\w+)\}/g, ':$1');
}

// The common part of all endpoints: checks the request before the handler, turns errors into problems, and reports one
// wide event and one metric. It is a plain function around the handler, not middleware. With one handler for each path,
// Hono composes nothing, and headers are set once, where the response is made.

export interface ServeOptions {
  readonly log: Log;
  readonly metrics: Metrics;
  /** Share of successes that are logged, 0 to 1. */
  readonly logShare: number;
  readonly random: () => number;
  readonly refusalLog: RefusalLog;
  readonly isOurHost: HostRule;
  readonly access: Access;
}

export function serveEndpoint(endpoint: Endpoint, options: ServeOptions): Handler {
  const serve = createServing(endpoint, options, endpoint.refusals?.respond ?? problemResponse);
  return (context) => serve(context.req, (event, caller) => endpoint.handle(context, event, caller));
}

/** Serves a request of the endpoint. `A` is the type of its answers. */
type Serving<A> = (request: RequestHead, handle: (event: WideEvent, caller: Caller) => A | Promise<A>) => Promise<A>;

/**
 * Creates the function that serves requests of an endpoint.
 * @param refuse returns the answer that carries a problem
 */
export function createServing<A extends { readonly status: number }>(
  endpoint: Pick<Endpoint, 'route' | 'scope' | 'produces' | 'query'>,
  options: ServeOptions,
  refuse: (problem: HttpProblem) => A,
): Serving<A> {
  const { log, metrics, logShare, random, refusalLog, isOurHost, access } = options;
  const { scope } = endpoint;
  const { operationId, method } = endpoint.route;
  const changes = method !== 'get' && method !== 'head';
  // The path contains the user id, and the log must not name erased users.
  const isPathLogged = scope !== 'users:erase';
  const facts = { operation: operationId };
  const logging = { log };
  // One child for each status and problem saves hashing the labels on every request.
  const timers = new Map<number, { observe(seconds: number): void }>();
  const timerFor = (status: number) => {
    const known = timers.get(status);
    if (known) return known;
    const timer = metrics.httpRequests.labels({ method, route: operationId, status: String(status) });
    timers.set(status, timer);
    return timer;
  };

  const counts = new Map<ErrorCode, { inc(): void }>();
  const countOf = ({ code, problem }: HttpProblem) => {
    const known = counts.get(code);
    if (known) return known;
    const count = metrics.httpProblems.labels({ route: operationId, status: String(problem.status), code });
    counts.set(code, count);
    return count;
  };

  return async function serve(request, handle) {
    const event = startWideEvent('request.served', facts, logging);
    const startedAt = performance.now();
    let answer: A;
    try {
      checkHost(request, isOurHost);
      if (changes) checkOrigin(request);
      const caller = access(request, scope, event);
      checkRequest(request, endpoint);
      answer = await handle(event, caller);
      if (event.isNotable || random() < logShare) {
        event.add({ status: answer.status });
        event.end();
      }
    } catch (error) {
      const found = toProblem(error, pathOf(request));
      answer = refuse(found);
      const { status, field, instance } = found.problem;
      countOf(found).inc();
      if (refusalLog(found.code, event.fact('keyId'))) {
        const why = status < 500 || isOneOfMany(found.code) ? { field } : { error: describeError(error) };
        event.add({ ...(isPathLogged ? { path: instance } : {}), status, code: found.code, ...why });
        event.end({ level: status === 500 ? 'error' : 'info' });
      }
    }
    timerFor(answer.status).observe((performance.now() - startedAt) / 1000);
    return answer;
  };
}

/** Logs a defect with its stack, and a declared rejection with its reason and causes. */
function describeError(error: unknown): unknown {
  return isTandemError(error) ? serialiseRefusal(error) : error;
}

function checkRequest(req: RequestHead, endpoint: Pick<Endpoint, 'produces' | 'query'>): void {
  if (!accepts(req.header('accept'), endpoint.produces)) {
    throw new TandemError('not_acceptable', `This path answers with ${endpoint.produces}, which Accept excludes.`, {
      field: 'Accept',
      remedy: `accept ${endpoint.produces}`,
    });
  }
  if (req.url.includes('%')) checkEncoding(req.url);
  if (req.url.includes('?')) checkQuery(new URL(req.url).searchParams, endpoint.query ?? []);
}

/** Rejects malformed percent-encoding, which the router does not decode: `%ff` and `%25ff` would name the same user. */
function checkEncoding(url: string): void {
  try {
    decodeURIComponent(url);
  } catch (cause) {
    throw new TandemError('malformed_request', 'The path or query is not percent-encoded UTF-8.', {
      remedy: 'encode each part with encodeURIComponent',
      cause,
    });
  }
}

function checkQuery(given: URLSearchParams, known: readonly string[]): void {
  for (const name of new Set(given.keys())) {
    const allowed =
      known.length === 0 ? 'this path has no query parameters' : `known parameters are ${known.join(', ')}`;
    if (!known.includes(name)) {
      throw new TandemError(
        'malformed_request',
        `The query parameter ${JSON.stringify(name.slice(0, 80))} is not known.`,
        {
          field: name.slice(0, 80),
          remedy: `leave it out; ${allowed}`,
        },
      );
    }
    if (given.getAll(name).length > 1) {
      throw new TandemError('malformed_request', `The query parameter ${name} is repeated.`, {
        field: name,
        remedy: 'send it once',
      });
    }
  }
}

/** Returns the path and query. Requests of Hono have an absolute URL; requests that bypass Hono have only a path. */
function pathOf({ url }: RequestHead): string {
  return url.startsWith('/') ? url : new URL(url).pathname;
}
