/** POST /v1/runs: stores a run, notifies a worker, and returns the path at which the caller can watch it. */

import { parseBody } from '@tandem/endpoints/body';
import { defineEndpoint, withHeaders } from '@tandem/endpoints/define-endpoint';
import { requirePredictor } from '@tandem/endpoints/require-predictor';
import { STABLE } from '@tandem/freshness/rollout';
import { userIdProblem } from '@tandem/freshness/user-id';
import type { RunScope } from '@tandem/prediction/runs/runs';
import { locationHeader } from '@tandem/wire/parameters';
import { RUN_EXAMPLE, RunSchema, type StartRunBody, StartRunSchema } from '@tandem/wire/runs';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { hintWorker, runView } from './run-view.ts';

const BODY = {
  schema: StartRunSchema,
  example: { predictor: 'repurchase', scope: 'stale' },
  examples: { budget: { predictor: 'repurchase', scope: 'all', budget: { share: 0.25 } } },
} as const;

export function startRun({ runs, registry, ...rest }: RouteDependencies) {
  return defineEndpoint({
    operationId: 'startRun',
    method: 'post',
    path: '/v1/runs',
    tag: 'runs',
    summary: 'Start a batch run',
    description:
      '`all` makes a generation. `stale` scores users whose context is newer than their prediction. `userIds` scores the named users. With a `budget`, `all` scores users with outdated predictions first, the most read of them first, and then other users who are read.',
    scope: 'runs:write',
    body: BODY,
    answer: {
      status: 202,
      description: 'Recorded. The run continues even if this process ends. `Location` is the URL to watch',
      schema: RunSchema,
      example: { ...RUN_EXAMPLE, state: 'planned' },
      headers: locationHeader(`/v1/runs/${RUN_EXAMPLE.id}`),
    },
    problems: ['unknown_predictor', 'run_conflict', 'request_features_required', 'unavailable'],
    async handle(context, event) {
      const body = await parseBody(context, BODY);
      const predictor = await requirePredictor(registry, body.predictor);
      const scope = scopeOf(body.scope);
      if (scope.kind === 'users') {
        scope.userIds.forEach((userId, i) => {
          const problem = userIdProblem(predictor.keyType, userId, `scope.userIds[${i}]`);
          if (problem) throw problem;
        });
      }
      const { variant = STABLE, budget = null } = body;
      const { run } = await runs.create({
        predictor: predictor.name,
        scope,
        reason: 'api',
        scheduleSlot: null,
        variant,
        budget,
      });
      event.add({ predictor: predictor.name, scope: scope.kind, runId: run.id });
      await hintWorker(rest, run.id, event);
      return withHeaders(runView(run), { location: `/v1/runs/${run.id}` });
    },
  });
}

function scopeOf(scope: StartRunBody['scope']): RunScope {
  if (scope === 'all' || scope === 'stale') return { kind: scope };
  return { kind: 'users', userIds: [...new Set(scope.userIds)] };
}
