/**
 * PUT and DELETE /v1/rollouts/{id}/overrides/{userId}: assigns a user to an arm by hand, to see the answers of the arm.
 */

import { parseBody } from '@tandem/endpoints/body';
import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import type { Endpoint } from '@tandem/endpoints/endpoint';
import { isErased } from '@tandem/freshness/certificate';
import { isTandemError, notFound, TandemError } from '@tandem/freshness/errors';
import type { Predictor } from '@tandem/freshness/predictor';
import { userIdProblem } from '@tandem/freshness/user-id';
import { RolloutPath, RolloutUserPath } from '@tandem/wire/parameters';
import { ARM_OVERRIDES_EXAMPLE, ArmOverrideSchema, ArmOverridesSchema } from '../wire/rollouts.ts';
import type { RolloutRoutes } from './rollout-routes.ts';
import { requireRollout } from './rollout-view.ts';

const BODY = { schema: ArmOverrideSchema, example: { variant: 'candidate' } } as const;

const ANSWER = {
  description: 'All users assigned to an arm by hand',
  schema: ArmOverridesSchema,
  example: ARM_OVERRIDES_EXAMPLE,
};

export function overrideArms(dependencies: RolloutRoutes): readonly Endpoint[] {
  return [listOverrides(dependencies), putOverride(dependencies), endOverride(dependencies)];
}

function listOverrides({ rollouts }: RolloutRoutes) {
  return defineEndpoint({
    operationId: 'listArmOverrides',
    method: 'get',
    path: '/v1/rollouts/{id}/overrides',
    tag: 'rollouts',
    summary: 'Users assigned to an arm by hand',
    scope: 'models:read',
    params: RolloutPath,
    answer: ANSWER,
    problems: ['unknown_rollout', 'unavailable'],
    handle: async ({ req }) => overridesOf(rollouts, (await requireRollout(rollouts, req.param('id') ?? '')).id),
  });
}

function putOverride(dependencies: RolloutRoutes) {
  const { rollouts, registry, requireKnown } = dependencies;
  return defineEndpoint({
    operationId: 'overrideArm',
    method: 'put',
    path: '/v1/rollouts/{id}/overrides/{userId}',
    tag: 'rollouts',
    summary: 'Assign a user to an arm',
    description:
      'The override takes effect after the answer. The arm serves the user, but no analysis counts the user from then on, nor earlier exposures and outcomes of the user. A rollout can have at most 1,000 overrides.',
    scope: 'rollouts:admin',
    params: RolloutUserPath,
    body: BODY,
    answer: ANSWER,
    problems: ['unknown_rollout', 'unknown_user', 'rollout_conflict', 'unavailable'],
    async handle(context, event, { actor, hasScope }) {
      const { variant } = await parseBody(context, BODY);
      const { id, predictor } = await requireRollout(rollouts, context.req.param('id') ?? '');
      const userId = context.req.param('userId') ?? '';
      const served = await registry.predictor(predictor);
      // The store rejects an id that is not canonical, with the canonical one.
      if (served && !userIdProblem(served.keyType, userId, 'userId')) {
        await requireKnown(served, userId).catch(async (error: unknown) => {
          if (!isTandemError(error, 'unknown_user')) throw error;
          throw await unknownUser(dependencies, served, userId, hasScope('users:erase'));
        });
      }
      await rollouts.override(id, userId, variant, actor);
      event.add({ predictor, rolloutId: id, variant });
      return overridesOf(rollouts, id);
    },
  });
}

/**
 * Returns the error of a user that no arm can serve.
 * @param mayErase whether the caller may erase users. Only then the error says that the user was erased
 */
async function unknownUser(
  { authority }: RolloutRoutes,
  { name }: Predictor,
  userId: string,
  mayErase: boolean,
): Promise<TandemError> {
  const field = 'userId';
  if (mayErase && isErased((await authority.certify([userId], name)).user(userId, name))) {
    const path = `/v1/users/${encodeURIComponent(userId)}/readmit`;
    const remedy = `end the erasure first: tandem user readmit ${userId}, or POST ${path}`;
    return new TandemError('unknown_user', `User ${userId} was erased, so no arm serves the user.`, { field, remedy });
  }
  const text = `User ${userId} has no prediction and no feature row, or was erased.`;
  const { remedy = '' } = notFound(userId);
  return new TandemError('unknown_user', text, { field, remedy });
}

function endOverride({ rollouts }: RolloutRoutes) {
  return defineEndpoint({
    operationId: 'endArmOverride',
    method: 'delete',
    path: '/v1/rollouts/{id}/overrides/{userId}',
    tag: 'rollouts',
    summary: "Remove a user's assignment by hand",
    scope: 'rollouts:admin',
    params: RolloutUserPath,
    answer: ANSWER,
    problems: ['unknown_rollout', 'rollout_conflict', 'invalid_input', 'unavailable'],
    async handle({ req }, event, { actor }) {
      const { id, predictor } = await requireRollout(rollouts, req.param('id') ?? '');
      await rollouts.override(id, req.param('userId') ?? '', null, actor);
      event.add({ predictor, rolloutId: id });
      return overridesOf(rollouts, id);
    },
  });
}

async function overridesOf(rollouts: RolloutRoutes['rollouts'], id: string) {
  const found = await rollouts.overrides(id);
  return { overrides: found.map(({ userId, arm }) => ({ userId, variant: arm })) };
}
