/**
 * POST /v1/predictors/{predictor}/rollback: makes an older generation current from the next read on, without
 * recomputation.
 */

import { parseBody } from '@tandem/endpoints/body';
import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { requirePredictor } from '@tandem/endpoints/require-predictor';
import { GENERATION_EXAMPLE, RollbackSchema, RolledBackSchema } from '@tandem/wire/generations';
import { PredictorPath } from '@tandem/wire/parameters';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { generationView } from './list-generations.ts';

const BODY = { schema: RollbackSchema, example: { to: '16' }, optional: true };

export function rollBack({ generations, registry }: RouteDependencies) {
  return defineEndpoint({
    operationId: 'rollBack',
    method: 'post',
    path: '/v1/predictors/{predictor}/rollback',
    tag: 'predictors',
    summary: 'Return to an older generation',
    scope: 'rollouts:admin',
    params: PredictorPath,
    body: BODY,
    answer: {
      description: 'Applies from the next read',
      schema: RolledBackSchema,
      example: {
        from: { ...GENERATION_EXAMPLE, inForce: false },
        to: { ...GENERATION_EXAMPLE, generation: '16', runId: '0199b0ae-1c22-7d04-8a51-7f2b5d1c9e02' },
      },
    },
    problems: [
      'unknown_predictor',
      'unknown_generation',
      'rollout_conflict',
      'never_stable',
      'version_archived',
      'unavailable',
      'not_confirmed',
    ],
    async handle(context, event, caller) {
      const { to, force } = await parseBody(context, BODY);
      const { name: predictor } = await requirePredictor(registry, context.req.param('predictor'));
      const moved = await generations.rollBack({
        predictor,
        to: to === undefined ? null : Number(to),
        force,
        actor: caller.actor,
      });
      event.add({ predictor, from: moved.from?.number ?? null, to: moved.to.number });
      return { from: moved.from && generationView(moved.from), to: generationView(moved.to) };
    },
  });
}
