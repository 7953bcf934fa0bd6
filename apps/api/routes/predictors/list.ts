/** GET /v1/predictors: the adopted predictors, by name. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { PREDICTOR_EXAMPLE, PredictorsSchema } from '@tandem/wire/predictors';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { predictorView } from './predictor-view.ts';

export function listPredictors({ registry, authority }: RouteDependencies) {
  return defineEndpoint({
    operationId: 'listPredictors',
    method: 'get',
    path: '/v1/predictors',
    tag: 'predictors',
    summary: 'All predictors',
    scope: 'models:read',
    answer: { description: 'By name', schema: PredictorsSchema, example: { predictors: [PREDICTOR_EXAMPLE] } },
    problems: ['unavailable'],
    async handle() {
      const certificate = await authority.certify([]);
      // The registry is read after the certificate, which notifies it of adoptions.
      const all = await registry.predictors();
      return { predictors: await Promise.all(all.map((one) => predictorView(registry, one, certificate))) };
    },
  });
}
