/** Defines an endpoint. The router, the OpenAPI document and the body parser use the same definition. */

import { createRoute, type RouteConfig } from '@hono/zod-openapi';
import type { ErrorCode } from '@tandem/freshness/error-codes';
import type { BodyForm } from '@tandem/reading/check-form';
import type { Answered, FieldsSchema, Schema } from '@tandem/wire/schema';
import { jsonResponse } from './body.ts';
import { refusalsIn } from './describe-problems.ts';
import type { Endpoint } from './endpoint.ts';

const JSON_TYPE = 'application/json';

/** Problems of every endpoint that takes a body. */
const BODY_PROBLEMS: readonly ErrorCode[] = ['body_too_large', 'unsupported_media_type', 'invalid_input'];

interface EndpointDefinition<S extends Schema, B extends Schema> extends Pick<Endpoint, 'scope' | 'refusals'> {
  /** The endpoint's name in the document, in logs and in metrics. */
  readonly operationId: string;
  readonly method: RouteConfig['method'];
  /** The path with parameters in OpenAPI form: `/v1/runs/{id}`. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly params?: FieldsSchema;
  /** The allowed query parameters; others are rejected. */
  readonly query?: FieldsSchema;
  readonly headers?: FieldsSchema;
  /** The schema of the body, which the handler reads with `parseBody`. */
  readonly body?: BodyForm<B>;
  /** The bodies by media type, which the handler reads and checks itself, in place of `body`. */
  readonly bodies?: Contents;
  readonly answer: AnswerDefinition<S>;
  /** Answers with another status than `answer`. */
  readonly otherAnswers?: RouteConfig['responses'];
  /** The problem codes of this endpoint. The codes of every endpoint, and of every body, are added. */
  readonly problems: readonly ErrorCode[];
  /** Returns the body of a JSON answer, or a whole response. Throws a TandemError. */
  handle(...request: Parameters<Endpoint['handle']>): Handled<Answered<S>> | Promise<Handled<Answered<S>>>;
}

type Handled<A> = A | WithHeaders<A> | Response;

type Contents = Readonly<Record<string, { readonly schema: Schema; readonly example?: unknown }>>;

interface AnswerDefinition<S extends Schema> {
  /** Default: 200. */
  readonly status?: 200 | 201 | 202;
  /** The media type. Default: JSON. */
  readonly type?: string;
  readonly description: string;
  readonly schema: S;
  readonly example?: Answered<S>;
  readonly headers?: FieldsSchema | RouteHeaders;
}

type RouteHeaders = Readonly<
  Record<string, { readonly description: string; readonly schema: { readonly type: 'string' } }>
>;

/** An answer's body with additional headers. */
class WithHeaders<A> {
  readonly body: A;
  readonly headers: Readonly<Record<string, string>>;

  constructor(body: A, headers: Readonly<Record<string, string>>) {
    this.body = body;
    this.headers = headers;
  }
}

/** Returns a handler's answer with added headers. They are described in `answer.headers`. */
export function withHeaders<A>(body: A, headers: Readonly<Record<string, string>>): WithHeaders<A> {
  return new WithHeaders(body, headers);
}

/** Returns an endpoint and its OpenAPI description. */
export function defineEndpoint<S extends Schema, B extends Schema>(endpoint: EndpointDefinition<S, B>): Endpoint {
  const { scope, query, answer, handle, refusals } = endpoint;
  const { status = 200, type = JSON_TYPE } = answer;
  return {
    route: describe(endpoint),
    scope,
    produces: type,
    ...(refusals === undefined ? {} : { refusals }),
    ...(query === undefined ? {} : { query: Object.keys(query.shape) }),
    async handle(...request) {
      const handled = await handle(...request);
      if (handled instanceof Response) return handled;
      if (handled instanceof WithHeaders) return jsonResponse(handled.body, status, handled.headers);
      return jsonResponse(handled, status);
    },
  };
}

function describe<S extends Schema, B extends Schema>(endpoint: EndpointDefinition<S, B>): Endpoint['route'] {
  const { operationId, method, path, tag, summary, description, params, query, headers, refusals } = endpoint;
  const { body, bodies, otherAnswers } = endpoint;
  const { status = 200, type = JSON_TYPE, schema, example, ...answer } = endpoint.answer;
  const content = bodies ?? (body && { [JSON_TYPE]: { schema: body.schema, example: body.example } });
  const taken = content && { required: body?.optional !== true, content };
  return createRoute({
    operationId,
    method,
    path,
    tags: [tag],
    summary,
    ...given({ description, request: given({ params, query, headers, body: taken }) }),
    responses: {
      [status]: { ...answer, content: { [type]: given({ schema, example }) } },
      ...otherAnswers,
      ...refusalsIn(refusals, ...(content ? BODY_PROBLEMS : []), ...endpoint.problems),
    },
  });
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Removes undefined fields. */
function given<T extends object>(parts: T): Given<T> {
  return Object.fromEntries(Object.entries(parts).filter(([, part]) => part !== undefined)) as Given<T>;
}
