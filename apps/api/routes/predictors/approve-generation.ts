/** POST /v1/predictors/{predictor}/generations/{generation}/approve: what was held back is put in force after all. */
import { unknownPredictor } from '@tandem/freshness/errors';
import { GENERATION_EXAMPLE, GenerationSchema } from '@tandem/wire/generations';
import { GenerationPath } from '@tandem/wire/parameters';
import { jsonEndpoint } from '../../http/json-endpoint.ts';
import { generationView } from './generation-view.ts';
import { generationNumber } from './report-view.ts';
import type { ShowReportDependencies } from './show-report.ts';

export function approveGeneration({ reports, registry }: ShowReportDependencies) {
  return jsonEndpoint({
    operationId: 'approveGeneration',
    method: 'post',
    path: '/v1/predictors/{predictor}/generations/{generation}/approve',
    tag: 'predictors',
    summary: 'Put a generation in force that was held back',
    description:
      'Within 24 hours of its run; refused where a newer one is in force by then, or a rollback came between. To repeat it does no harm.',
    scope: 'rollouts:admin',
    params: GenerationPath,
    answer: {
      description: 'In force from the next read on',
      schema: GenerationSchema,
      example: { ...GENERATION_EXAMPLE, generation: '18' },
    },
    problems: ['unknown_predictor', 'unknown_generation', 'run_conflict', 'unavailable'],
    async handle({ req }, event, { actor }) {
      const predictor = req.param('predictor') ?? '';
      if (!(await registry.predictor(predictor))) throw unknownPredictor(predictor);
      const generation = generationNumber(req.param('generation'));
      event.add({ predictor, generation });
      return generationView(await reports.approve({ predictor, generation, actor }));
    },
  });
}
