/** GET /v1/predictors/{predictor}/stable-versions: which model versions were stable, and when. */
import { createRoute, z } from '@hono/zod-openapi';
import { unknownPredictor } from '@tandem/freshness/errors';
import type { StableVersion } from '@tandem/prediction/runs/run-store';
import { jsonResponse } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { limitOf, limitQuery } from '../../http/page-query.ts';
import { predictorParameter } from '../../http/parameters.ts';
import { problems } from '../../http/problem-schema.ts';
import type { GenerationDependencies } from './list-generations.ts';

const StableVersionSchema = z
  .strictObject({
    modelVersion: z.string(),
    since: z.iso.datetime(),
    until: z.iso.datetime().nullable().meta({ description: 'null: it is stable now' }),
    generation: z
      .string()
      .nullable()
      .meta({ description: 'The kept generation that a rollback to this version returns to; null if none is kept' }),
  })
  .meta({ id: 'StableVersion' });

export function listStableVersions({ generations, registry }: GenerationDependencies): Endpoint {
  return {
    route,
    scope: 'models:read',
    produces: 'application/json',
    query: ['limit'],
    async handle({ req }) {
      const limit = limitOf(req.query('limit'));
      const name = req.param('predictor') ?? '';
      if (!(await registry.predictor(name))) throw unknownPredictor(name);
      return jsonResponse({ versions: (await generations.stableVersions(name, limit)).map(viewOf) });
    },
  };
}

function viewOf({ modelNumber, since, until, generationNumber }: StableVersion): z.output<typeof StableVersionSchema> {
  return {
    modelVersion: String(modelNumber),
    since: since.toISOString(),
    until: until?.toISOString() ?? null,
    generation: generationNumber === null ? null : String(generationNumber),
  };
}

const EXAMPLE = [
  { modelVersion: '2', since: '2026-11-24T02:10:00.120Z', until: null, generation: '17' },
  { modelVersion: '1', since: '2026-10-02T08:11:47.530Z', until: '2026-11-24T02:10:00.120Z', generation: '15' },
];

const route = createRoute({
  operationId: 'listStableVersions',
  method: 'get',
  path: '/v1/predictors/{predictor}/stable-versions',
  tags: ['predictors'],
  summary: 'The model versions that were stable, newest first',
  description:
    'One entry for each period in which the stable arm served one model version. `tandem version rollback` without a target returns to the newest entry of another version.',
  request: { params: z.object({ predictor: predictorParameter }), query: z.object({ limit: limitQuery }) },
  responses: {
    200: {
      description: 'Newest first',
      content: {
        'application/json': {
          schema: z.strictObject({ versions: z.array(StableVersionSchema) }),
          example: { versions: EXAMPLE },
        },
      },
    },
    ...problems('unknown_predictor', 'invalid_input', 'unavailable'),
  },
});
