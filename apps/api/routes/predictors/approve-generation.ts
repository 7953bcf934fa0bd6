/** POST /v1/predictors/{predictor}/generations/{generation}/approve: what was held back is put in force after all. */
import { createRoute } from '@hono/zod-openapi';
import { unknownPredictor } from '@tandem/freshness/errors';
import { GENERATION_EXAMPLE, GenerationSchema } from '@tandem/wire/generations';
import { GenerationPath } from '@tandem/wire/parameters';
import { jsonResponse } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { problems } from '../../http/problems.ts';
import { generationView } from './generation-view.ts';
import { generationNumber } from './report-view.ts';
import type { ShowReportDependencies } from './show-report.ts';

export function approveGeneration({ reports, registry }: ShowReportDependencies): Endpoint {
  return {
    route,
    scope: 'rollouts:admin',
    produces: 'application/json',
    async handle({ req }, event, { actor }) {
      const predictor = req.param('predictor') ?? '';
      if (!(await registry.predictor(predictor))) throw unknownPredictor(predictor);
      const generation = generationNumber(req.param('generation'));
      event.add({ predictor, generation });
      return jsonResponse(generationView(await reports.approve({ predictor, generation, actor })));
    },
  };
}

const route = createRoute({
  operationId: 'approveGeneration',
  method: 'post',
  path: '/v1/predictors/{predictor}/generations/{generation}/approve',
  tags: ['predictors'],
  summary: 'Put a generation in force that was held back',
  description:
    'Within 24 hours of its run; refused where a newer one is in force by then, or a rollback came between. To repeat it does no harm.',
  request: { params: GenerationPath },
  responses: {
    200: {
      description: 'In force from the next read on',
      content: {
        'application/json': { schema: GenerationSchema, example: { ...GENERATION_EXAMPLE, generation: '18' } },
      },
    },
    ...problems('unknown_predictor', 'unknown_generation', 'run_conflict', 'unavailable'),
  },
});
