/**
 * POST /v1/rollouts/{id}/advance, hold, resume, promote, abort, end: moves of a rollout by an operator. After the
 * answer, each new read in every process uses the new state.
 */

import { parseBody } from '@tandem/endpoints/body';
import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import type { Endpoint } from '@tandem/endpoints/endpoint';
import { CANDIDATE, type Rollout } from '@tandem/freshness/rollout';
import { RolloutPath } from '@tandem/wire/parameters';
import {
  MoveRolloutSchema,
  type PromoteRolloutBody,
  PromoteRolloutSchema,
  ROLLOUT_EXAMPLE,
  RolloutSchema,
} from '../wire/rollouts.ts';
import type { RolloutRoutes } from './rollout-routes.ts';
import { requireRollout, rolloutView } from './rollout-view.ts';

const EXAMPLE = { reason: 'support asked for it' };
/** Returns the form of a move's body. Only `promote` takes an arm. */
const formOf = ({ verb }: MoveKind) =>
  verb === 'promote'
    ? { schema: PromoteRolloutSchema, example: EXAMPLE, optional: true }
    : { schema: MoveRolloutSchema, example: EXAMPLE, optional: true };

interface MoveKind {
  readonly verb: 'advance' | 'hold' | 'resume' | 'promote' | 'abort' | 'end';
  readonly summary: string;
  /** The state in the example of the answer. */
  readonly state: Rollout['state'];
}

const MOVES: readonly MoveKind[] = [
  {
    verb: 'advance',
    summary: 'Advance a canary by one step; after the last step it is promoted',
    state: 'running',
  },
  {
    verb: 'hold',
    summary: 'Hold the rollout at this step, whatever the analysis says; a proven regression still aborts it',
    state: 'held',
  },
  { verb: 'resume', summary: 'Resume a held rollout under its analysis', state: 'running' },
  { verb: 'promote', summary: 'Promote an arm: it becomes stable and serves all users', state: 'promoted' },
  {
    verb: 'abort',
    summary: 'Abort the rollout: the stable arm serves all users; nothing is recomputed',
    state: 'aborted',
  },
  { verb: 'end', summary: 'End a shadow or an A/B test; the stable arm serves all users', state: 'ended' },
];

export function moveRollout(dependencies: RolloutRoutes): readonly Endpoint[] {
  return MOVES.map((kind) => moveEndpoint(dependencies, kind));
}

function moveEndpoint({ rollouts }: RolloutRoutes, kind: MoveKind) {
  const { verb, summary, state } = kind;
  const body = formOf(kind);
  return defineEndpoint({
    operationId: `${verb}Rollout`,
    method: 'post',
    path: `/v1/rollouts/{id}/${verb}`,
    tag: 'rollouts',
    summary,
    scope: 'rollouts:admin',
    params: RolloutPath,
    body,
    answer: {
      description: 'Applies from the next read',
      schema: RolloutSchema,
      example: { ...ROLLOUT_EXAMPLE, state },
    },
    problems: ['unknown_rollout', 'rollout_conflict', 'unavailable', 'not_confirmed'],
    async handle(context, event, { actor }) {
      const asked: PromoteRolloutBody = { variant: CANDIDATE, ...(await parseBody(context, body)) };
      const { reason = `${verb} asked for`, variant } = asked;
      const { id, predictor } = await requireRollout(rollouts, context.req.param('id') ?? '');
      const change = { actor, reason };
      const moved = await (verb === 'promote' ? rollouts.promote(id, variant, change) : rollouts[verb](id, change));
      event.add({ predictor, rolloutId: id, state: moved.state, step: moved.step });
      return rolloutView(moved);
    },
  });
}
