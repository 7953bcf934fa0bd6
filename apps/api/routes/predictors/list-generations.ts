/** GET /v1/predictors/{predictor}/generations: the generations of a predictor, newest first. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { requirePredictor } from '@tandem/endpoints/require-predictor';
import type { Generation } from '@tandem/prediction/runs/generations';
import { GENERATION_EXAMPLE, GenerationsSchema, type GenerationView } from '@tandem/wire/generations';
import { PredictorPath } from '@tandem/wire/parameters';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';

export function listGenerations({ generations, registry, reports }: RouteDependencies) {
  return defineEndpoint({
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
      const { name } = await requirePredictor(registry, req.param('predictor'));
      const [found, held] = await Promise.all([generations.list(name), reports.listHeld(name)]);
      const newestFirst = [...found].sort((a, b) => b.number - a.number);
      return { generations: newestFirst.map((one) => generationView(one, held.get(one.number))) };
    },
  });
}

/**
 * Returns a generation as the API shows it.
 * @param refusal why a held-back generation cannot be approved, or null; undefined if it is not held back
 */
export function generationView(generation: Generation, refusal?: string | null): GenerationView {
  const { number, predictor, state, inForce, wasStable, servedStable } = generation;
  const { modelNumber, users, usersLeft, baseNumber, runId, plannedAt, publishedAt } = generation;
  // The generation may have been published or dropped between the two reads.
  const isHeld = state === 'building' && refusal !== undefined;
  return {
    generation: String(number),
    predictor,
    state: isHeld ? 'held_back' : state,
    approvalRefused: isHeld ? refusal : null,
    inForce,
    wasStable,
    servedStable,
    modelVersion: String(modelNumber),
    kind: baseNumber === null ? 'everyone' : 'budgeted',
    users,
    base: baseNumber === null ? null : String(baseNumber),
    usersLeft,
    runId,
    startedAt: new Date(plannedAt).toISOString(),
    publishedAt: publishedAt?.toISOString() ?? null,
  };
}
