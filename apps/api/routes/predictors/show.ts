/** GET /v1/predictors/{predictor}: the policies, the stable model version and the current generation of a predictor. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { requirePredictor } from '@tandem/endpoints/require-predictor';
import { PredictorPath } from '@tandem/wire/parameters';
import { PREDICTOR_EXAMPLE, PredictorSchema } from '@tandem/wire/predictors';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { predictorView } from './predictor-view.ts';

export function showPredictor({ registry, authority }: RouteDependencies) {
  return defineEndpoint({
    operationId: 'showPredictor',
    method: 'get',
    path: '/v1/predictors/{predictor}',
    tag: 'predictors',
    summary: 'One predictor',
    scope: 'models:read',
    params: PredictorPath,
    answer: { description: 'The predictor', schema: PredictorSchema, example: PREDICTOR_EXAMPLE },
    problems: ['unknown_predictor', 'unavailable'],
    async handle({ req }) {
      const certificate = await authority.certify([]);
      // The registry is read after the certificate, which notifies it of adoptions.
      const predictor = await requirePredictor(registry, req.param('predictor'));
      return predictorView(registry, predictor, certificate);
    },
  });
}
