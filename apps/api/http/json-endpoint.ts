/** Declares an endpoint that answers with JSON. One description serves the router, the OpenAPI document and the reader. */
import { createRoute, type RouteConfig } from '@hono/zod-openapi';
import type { Schema } from '@tandem/wire/schema';
import { jsonResponse } from './body.ts';
import type { Endpoint } from './endpoint.ts';
import type { ProblemCode } from './problem.ts';
import { problems } from './problems.ts';

const JSON_TYPE = 'application/json';

/** Problems of every endpoint that takes a body. */
const BODY_PROBLEMS: readonly ProblemCode[] = ['body_too_large', 'unsupported_media_type', 'invalid_input'];

type RequestParts = NonNullable<RouteConfig['request']>;

interface JsonEndpoint extends Pick<Endpoint, 'scope'> {
  /** Names the endpoint in the document, in logs and in metrics. */
  readonly operationId: string;
  readonly method: RouteConfig['method'];
  /** With parameters in OpenAPI's form: `/v1/runs/{id}`. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly params?: NonNullable<RequestParts['params']>;
  /** The query parameters that are allowed; any other is refused. */
  readonly query?: NonNullable<RequestParts['query']> & { readonly shape: Readonly<Record<string, unknown>> };
  readonly headers?: NonNullable<RequestParts['headers']>;
  /** The body that it takes; its handler reads it with `parseBody`. */
  readonly body?: { readonly schema: Schema; readonly example: unknown; readonly optional?: boolean };
  readonly answer: JsonAnswer;
  /** The codes that are particular to it. Those of every endpoint, and of every body, are added. */
  readonly problems: readonly ProblemCode[];
  /** Returns the answer's body, or a response if it needs headers. Throws a TandemError or RequestError. */
  handle(...request: Parameters<Endpoint['handle']>): object | Promise<object>;
}

interface JsonAnswer {
  /** Default: 200. */
  readonly status?: 200 | 201 | 202;
  readonly description: string;
  readonly schema: Schema;
  readonly example: unknown;
  readonly headers?: Schema;
}

export function jsonEndpoint(endpoint: JsonEndpoint): Endpoint {
  const { scope, query, answer, handle } = endpoint;
  const { status = 200 } = answer;
  return {
    route: describe(endpoint),
    scope,
    produces: JSON_TYPE,
    ...(query === undefined ? {} : { query: Object.keys(query.shape) }),
    async handle(...request) {
      const answered = await handle(...request);
      return answered instanceof Response ? answered : jsonResponse(answered, status);
    },
  };
}

function describe(endpoint: JsonEndpoint): Endpoint['route'] {
  const { operationId, method, path, tag, summary, description, params, query, headers, body } = endpoint;
  const { status = 200, schema, example, ...answer } = endpoint.answer;
  const taken = body && { required: body.optional !== true, content: jsonContent(body.schema, body.example) };
  return createRoute({
    operationId,
    method,
    path,
    tags: [tag],
    summary,
    ...given({ description, request: given({ params, query, headers, body: taken }) }),
    responses: {
      [status]: { ...answer, content: jsonContent(schema, example) },
      ...problems(...endpoint.problems, ...(body ? BODY_PROBLEMS : [])),
    },
  } as RouteConfig & { readonly operationId: string });
}

function jsonContent(schema: Schema, example: unknown) {
  return { [JSON_TYPE]: { schema, example } };
}

/** Leaves out what is undefined. */
function given<T extends object>(parts: T): Partial<T> {
  return Object.fromEntries(Object.entries(parts).filter(([, part]) => part !== undefined)) as Partial<T>;
}
