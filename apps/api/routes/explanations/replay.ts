/** POST /v1/explanations/{id}/replay: computes a kept answer again, and says whether it agrees. */
import { createRoute } from '@hono/zod-openapi';
import { REPLAY_EXAMPLE, ReplaySchema } from '@tandem/wire/kept-explanations';
import { KeptExplanationPath } from '@tandem/wire/parameters';
import { jsonResponse } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { problems } from '../../http/problems.ts';
import { replayView, requireKept } from './kept-view.ts';
import { type ReplayDependencies, replayKept } from './replay-kept.ts';
import type { ShowKeptDependencies } from './show-kept.ts';

export interface ReplayEndpointDependencies extends ReplayDependencies, ShowKeptDependencies {}

export function replayExplanation(dependencies: ReplayEndpointDependencies): Endpoint {
  return {
    route,
    // It tells what the explanation tells, and changes nothing.
    scope: 'users:read',
    produces: 'application/json',
    async handle({ req }, event) {
      const kept = await requireKept(dependencies.explanations, req.param('id') ?? '');
      const replay = await replayKept(dependencies, kept);
      event.add({ predictor: kept.answer.predictor, verdict: replay.verdict });
      return jsonResponse(replayView(kept, replay));
    },
  };
}

const route = createRoute({
  operationId: 'replayExplanation',
  method: 'post',
  path: '/v1/explanations/{id}/replay',
  tags: ['users'],
  summary: 'Compute a kept answer again',
  description:
    'Runs the model version that answered on the inputs that were kept, in a process that serves nobody, and compares: `agrees` within the tolerance of its certificate, `differs`, `inputs_changed` where the inputs are not of the context that the answer was computed from, or `refused` with the reason.',
  request: { params: KeptExplanationPath },
  responses: {
    200: {
      description: 'What came of it',
      content: { 'application/json': { schema: ReplaySchema, example: REPLAY_EXAMPLE } },
    },
    ...problems('unknown_explanation', 'overloaded', 'unavailable'),
  },
});
