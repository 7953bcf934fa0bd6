/** GET /v2: the server's name, release and extensions, in the form of the Open Inference Protocol. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import type { Endpoint } from '@tandem/endpoints/endpoint';
import { INFERENCE_ERRORS, SERVER } from '../open-server.ts';
import { InferenceServerSchema } from '../wire.ts';

/**
 * Returns an endpoint for each spelling of the path. The protocol's text uses the first, its OpenAPI document the
 * second.
 */
export function showInferenceServer(): readonly Endpoint[] {
  const paths = [
    { path: '/v2', operationId: 'showInferenceServer' },
    { path: '/v2/', operationId: 'showInferenceServerBelow' },
  ];
  return paths.map(({ path, operationId }) =>
    defineEndpoint({
      operationId,
      method: 'get',
      path,
      tag: 'inference',
      summary: 'The server, its release and its extensions',
      scope: 'public',
      refusals: INFERENCE_ERRORS,
      answer: { description: 'The server', schema: InferenceServerSchema, example: { ...SERVER, version: '0.2.0' } },
      problems: [],
      handle: () => SERVER,
    }),
  );
}
