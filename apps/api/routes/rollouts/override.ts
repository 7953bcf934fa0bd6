/** PUT and DELETE /v1/rollouts/{id}/overrides/{userId}: a user is put into an arm by hand, to see what it answers. */
import { createRoute } from '@hono/zod-openapi';
import { RolloutPath, RolloutUserPath } from '@tandem/wire/parameters';
import { ARM_OVERRIDES_EXAMPLE, ArmOverrideSchema, ArmOverridesSchema } from '@tandem/wire/rollouts';
import { jsonResponse, parseBody } from '../../http/body.ts';
import type { Endpoint } from '../../http/endpoint.ts';
import { problems } from '../../http/problems.ts';
import type { RolloutDependencies } from './rollout-dependencies.ts';
import { requireRollout } from './rollout-view.ts';

const BODY = { schema: ArmOverrideSchema, example: { variant: 'candidate' } } as const;

export function overrideArms({ rollouts }: RolloutDependencies): readonly Endpoint[] {
  const all = async (id: string) => {
    const found = await rollouts.overrides(id);
    return jsonResponse({ overrides: found.map(({ userId, arm }) => ({ userId, variant: arm })) });
  };
  return [
    {
      route: LIST,
      scope: 'models:read',
      produces: 'application/json',
      handle: async ({ req }) => all((await requireRollout(rollouts, req.param('id') ?? '')).id),
    },
    {
      route: PUT,
      scope: 'rollouts:admin',
      produces: 'application/json',
      async handle(context, event, { actor }) {
        const { variant } = await parseBody(context, BODY);
        const { id, predictor } = await requireRollout(rollouts, context.req.param('id') ?? '');
        await rollouts.override(id, context.req.param('userId') ?? '', variant, actor);
        event.add({ predictor, rolloutId: id, variant });
        return all(id);
      },
    },
    {
      route: DELETE,
      scope: 'rollouts:admin',
      produces: 'application/json',
      async handle({ req }, event, { actor }) {
        const { id, predictor } = await requireRollout(rollouts, req.param('id') ?? '');
        await rollouts.override(id, req.param('userId') ?? '', null, actor);
        event.add({ predictor, rolloutId: id });
        return all(id);
      },
    },
  ];
}

const answers = {
  200: {
    description: 'All users who are in an arm by hand',
    content: { 'application/json': { schema: ArmOverridesSchema, example: ARM_OVERRIDES_EXAMPLE } },
  },
};

const LIST = createRoute({
  operationId: 'listArmOverrides',
  method: 'get',
  path: '/v1/rollouts/{id}/overrides',
  tags: ['rollouts'],
  summary: 'Users who are in an arm by hand',
  request: { params: RolloutPath },
  responses: { ...answers, ...problems('unknown_rollout', 'unavailable') },
});

const PUT = createRoute({
  operationId: 'overrideArm',
  method: 'put',
  path: '/v1/rollouts/{id}/overrides/{userId}',
  tags: ['rollouts'],
  summary: 'Put a user into an arm',
  description: 'From the answer on; such users are served, and not counted in any analysis. At most 1,000 of them.',
  request: {
    params: RolloutUserPath,
    body: { required: true, content: { 'application/json': { schema: ArmOverrideSchema } } },
  },
  responses: {
    ...answers,
    ...problems(
      'unknown_rollout',
      'rollout_conflict',
      'body_too_large',
      'unsupported_media_type',
      'invalid_input',
      'unavailable',
    ),
  },
});

const DELETE = createRoute({
  operationId: 'endArmOverride',
  method: 'delete',
  path: '/v1/rollouts/{id}/overrides/{userId}',
  tags: ['rollouts'],
  summary: 'Leave a user to their bucket again',
  request: { params: RolloutUserPath },
  responses: { ...answers, ...problems('unknown_rollout', 'rollout_conflict', 'invalid_input', 'unavailable') },
});
