/** GET /v1/predictors/{predictor}/generations: the generations of a predictor, newest first. */
import { unknownPredictor } from '@tandem/freshness/errors';
import type { Registry } from '@tandem/freshness/reader';
import type { GenerationStore, ReportStore } from '@tandem/prediction/runs/run-store';
import { GENERATION_EXAMPLE, GenerationsSchema } from '@tandem/wire/generations';
import { PredictorPath } from '@tandem/wire/parameters';
import { jsonEndpoint } from '../../http/json-endpoint.ts';
import { generationView } from './generation-view.ts';

export interface GenerationDependencies {
  readonly generations: Pick<GenerationStore, 'list' | 'rollBack' | 'stableVersions'>;
  readonly registry: Pick<Registry, 'predictor'>;
}

type ListDependencies = GenerationDependencies & { readonly reports: Pick<ReportStore, 'listHeld'> };

export function listGenerations({ generations, registry, reports }: ListDependencies) {
  return jsonEndpoint({
    operationId: 'listGenerations',
    method: 'get',
    path: '/v1/predictors/{predictor}/generations',
    tag: 'predictors',
    summary: "A predictor's generations",
    scope: 'models:read',
    params: PredictorPath,
    answer: { description: 'Newest first', schema: GenerationsSchema, example: { generations: [GENERATION_EXAMPLE] } },
    problems: ['unknown_predictor', 'unavailable'],
    async handle({ req }) {
      const name = req.param('predictor') ?? '';
      if (!(await registry.predictor(name))) throw unknownPredictor(name);
      const [found, held] = await Promise.all([generations.list(name), reports.listHeld(name)]);
      const newestFirst = [...found].sort((a, b) => b.number - a.number);
      return { generations: newestFirst.map((one) => generationView(one, held.get(one.number))) };
    },
  });
}
