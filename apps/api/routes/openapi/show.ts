/** GET /openapi.json: the description of this service, by OpenAPI 3.1. */
import { createRoute, z } from '@hono/zod-openapi';
import type { Endpoint } from '../../endpoint.ts';
import { problems } from '../../problem-schema.ts';

/** @param text gives the document as JSON */
export function showOpenApi(text: () => string): Endpoint {
  return {
    route,
    scope: 'public',
    produces: 'application/json',
    handle: () =>
      new Response(text(), { headers: { 'content-type': 'application/json', 'cache-control': 'public, max-age=60' } }),
  };
}

const route = createRoute({
  operationId: 'showOpenApi',
  method: 'get',
  path: '/openapi.json',
  tags: ['documentation'],
  summary: 'This document',
  responses: {
    200: {
      description: 'OpenAPI 3.1',
      content: { 'application/json': { schema: z.record(z.string(), z.unknown()), example: { openapi: '3.1.0' } } },
    },
    ...problems(),
  },
});
