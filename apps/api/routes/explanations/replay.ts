/** POST /v1/explanations/{id}/replay: computes the answer of an explanation again, and says whether both agree. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { REPLAY_EXAMPLE, ReplaySchema } from '@tandem/wire/kept-explanations';
import { KeptExplanationPath } from '@tandem/wire/parameters';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { replayView, requireKept } from './kept-view.ts';
import { replayKept } from './replay-kept.ts';

export function replayExplanation(dependencies: RouteDependencies) {
  return defineEndpoint({
    operationId: 'replayExplanation',
    method: 'post',
    path: '/v1/explanations/{id}/replay',
    tag: 'users',
    summary: 'Replay a kept explanation',
    description:
      "Runs the model version that answered on the kept inputs, in a process that serves no reads. The verdict is `agrees` within the tolerance of the model version's certificate, `differs`, `inputs_changed` if the inputs belong to another context, or `refused` with the reason.",
    scope: 'users:read',
    params: KeptExplanationPath,
    answer: { description: 'Result of the replay', schema: ReplaySchema, example: REPLAY_EXAMPLE },
    problems: ['unknown_explanation', 'overloaded', 'unavailable'],
    async handle({ req }, event) {
      const kept = await requireKept(dependencies.explanations, req.param('id') ?? '');
      const replay = await replayKept(dependencies, kept);
      event.add({ predictor: kept.answer.predictor, verdict: replay.verdict });
      return replayView(kept, replay);
    },
  });
}
