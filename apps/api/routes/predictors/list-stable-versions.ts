/** GET /v1/predictors/{predictor}/stable-versions: which model versions were stable, and when. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { limitOf } from '@tandem/endpoints/page-query';
import { requirePredictor } from '@tandem/endpoints/require-predictor';
import type { StableVersion } from '@tandem/prediction/runs/run-store';
import { LimitQuery } from '@tandem/wire/page';
import { PredictorPath } from '@tandem/wire/parameters';
import { STABLE_VERSIONS_EXAMPLE, StableVersionsSchema, type StableVersionView } from '@tandem/wire/predictors';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';

export function listStableVersions({ generations, registry }: RouteDependencies) {
  return defineEndpoint({
    operationId: 'listStableVersions',
    method: 'get',
    path: '/v1/predictors/{predictor}/stable-versions',
    tag: 'predictors',
    summary: 'The model versions that were stable, newest first',
    description:
      'Returns one entry for each period in which the stable arm served one model version. `tandem version rollback` without a target returns to the newest entry of another version.',
    scope: 'models:read',
    params: PredictorPath,
    query: LimitQuery,
    answer: {
      description: 'Newest first',
      schema: StableVersionsSchema,
      example: { versions: STABLE_VERSIONS_EXAMPLE },
    },
    problems: ['unknown_predictor', 'invalid_input', 'unavailable'],
    async handle({ req }) {
      const limit = limitOf(req.query('limit'));
      const { name } = await requirePredictor(registry, req.param('predictor'));
      return { versions: (await generations.stableVersions(name, limit)).map(viewOf) };
    },
  });
}

function viewOf({ modelNumber, since, until, generationNumber }: StableVersion): StableVersionView {
  return {
    modelVersion: String(modelNumber),
    since: since.toISOString(),
    until: until?.toISOString() ?? null,
    generation: generationNumber === null ? null : String(generationNumber),
  };
}
