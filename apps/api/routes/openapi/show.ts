/** GET /openapi.json: the description of this service, by OpenAPI 3.1. */
import { createRoute } from '@hono/zod-openapi';
import { DocumentSchema } from '@tandem/wire/documents';
import type { Endpoint } from '../../http/endpoint.ts';
import { problems } from '../../http/problems.ts';

/** @param text gives the document as JSON */
export function showOpenApi(text: () => string): Endpoint {
  // Encoded once for all who read it: some hundred kilobytes, which cost more than all the rest of such an answer.
  let document: Uint8Array<ArrayBuffer> | undefined;
  return {
    route,
    scope: 'public',
    produces: 'application/json',
    handle() {
      document ??= new TextEncoder().encode(text());
      return new Response(document, {
        headers: { 'content-type': 'application/json', 'cache-control': 'public, max-age=60' },
      });
    },
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
      content: { 'application/json': { schema: DocumentSchema, example: { openapi: '3.1.0' } } },
    },
    ...problems(),
  },
});
