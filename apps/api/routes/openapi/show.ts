/** GET /openapi.json: the description of this service in OpenAPI 3.1. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { DocumentSchema } from '@tandem/wire/documents';

/**
 * Returns the endpoint of the OpenAPI document.
 * @param text returns the document as JSON
 */
export function showOpenApi(text: () => string) {
  // Encoded once for all readers: encoding some hundred kilobytes costs more than the rest of the answer.
  let document: Uint8Array<ArrayBuffer> | undefined;
  return defineEndpoint({
    operationId: 'showOpenApi',
    method: 'get',
    path: '/openapi.json',
    tag: 'documentation',
    summary: 'This document',
    scope: 'public',
    answer: { description: 'OpenAPI 3.1', schema: DocumentSchema, example: { openapi: '3.1.0' } },
    problems: [],
    handle() {
      document ??= new TextEncoder().encode(text());
      return new Response(document, {
        headers: { 'content-type': 'application/json', 'cache-control': 'public, max-age=60' },
      });
    },
  });
}
