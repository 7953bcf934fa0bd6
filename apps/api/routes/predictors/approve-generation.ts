/** POST /v1/predictors/{predictor}/generations/{generation}/approve: publishes a generation that was held back. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { requirePredictor } from '@tandem/endpoints/require-predictor';
import { GENERATION_EXAMPLE, GenerationSchema } from '@tandem/wire/generations';
import { GenerationPath } from '@tandem/wire/parameters';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { generationView } from './list-generations.ts';
import { generationNumber } from './show-report.ts';

export function approveGeneration({ reports, registry }: RouteDependencies) {
  return defineEndpoint({
    operationId: 'approveGeneration',
    method: 'post',
    path: '/v1/predictors/{predictor}/generations/{generation}/approve',
    tag: 'predictors',
    summary: 'Publish a generation that was held back',
    description:
      'A generation can be approved within 24 hours of its run. The approval is rejected if a newer generation has been published, or after a rollback. Repeating it has no effect.',
    scope: 'rollouts:admin',
    params: GenerationPath,
    answer: {
      description: 'Published. The next read is answered from it',
      schema: GenerationSchema,
      example: { ...GENERATION_EXAMPLE, generation: '18' },
    },
    problems: ['unknown_predictor', 'unknown_generation', 'run_conflict', 'invalid_input', 'unavailable'],
    async handle({ req }, event, { actor }) {
      const { name: predictor } = await requirePredictor(registry, req.param('predictor'));
      const generation = generationNumber(req.param('generation'), predictor);
      event.add({ predictor, generation });
      return generationView(await reports.approve({ predictor, generation, actor }));
    },
  });
}
