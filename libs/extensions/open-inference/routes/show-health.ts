/** GET /v2/health/live and /v2/health/ready: /livez and /readyz in the form of the Open Inference Protocol. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import type { Endpoint } from '@tandem/endpoints/endpoint';
import { assertReady, INFERENCE_ERRORS, type ReadyDependencies } from '../open-server.ts';
import { InferenceLiveSchema, InferenceReadySchema } from '../wire.ts';

export function showInferenceHealth(dependencies: ReadyDependencies): readonly Endpoint[] {
  const common = { method: 'get', tag: 'inference', scope: 'public', refusals: INFERENCE_ERRORS } as const;
  return [
    defineEndpoint({
      ...common,
      operationId: 'showInferenceLive',
      path: '/v2/health/live',
      summary: 'Whether the process answers',
      answer: { description: 'The process answers', schema: InferenceLiveSchema, example: { live: true } },
      problems: [],
      handle: () => ({ live: true }),
    }),
    defineEndpoint({
      ...common,
      operationId: 'showInferenceReady',
      path: '/v2/health/ready',
      summary: 'Whether to send requests here',
      description: 'Answers 503 if `/readyz` answers 503; `/readyz` names the part that fails.',
      answer: { description: 'The service is ready', schema: InferenceReadySchema, example: { ready: true } },
      problems: ['unavailable'],
      async handle() {
        await assertReady(dependencies);
        return { ready: true };
      },
    }),
  ];
}
