/** POST /v1/predictors/{predictor}/rollouts: starts a rollout of another model version beside the stable one. */

import { parseBody } from '@tandem/endpoints/body';
import { defineEndpoint, withHeaders } from '@tandem/endpoints/define-endpoint';
import { requirePredictor } from '@tandem/endpoints/require-predictor';
import type { RolloutPlan } from '@tandem/freshness/rollout';
import type { WideEvent } from '@tandem/telemetry/wide-event';
import { within } from '@tandem/timing/within';
import { locationHeader, PredictorPath } from '@tandem/wire/parameters';
import { decidedWithin, outcomeNeeds, provenOutcomes } from '../rules/outcome-needs.ts';
import { startRollout as startRolloutOf } from '../rules/start-rollout.ts';
import { RolloutPlanSchema } from '../wire/rollout-plan.ts';
import { ROLLOUT_EXAMPLE, StartedRolloutSchema } from '../wire/rollouts.ts';
import { planOf } from './plan-view.ts';
import type { RolloutRoutes } from './rollout-routes.ts';
import { rolloutView } from './rollout-view.ts';

const PREPARING_EXAMPLE = {
  ...ROLLOUT_EXAMPLE,
  state: 'preparing' as const,
  step: 0,
  percent: 0,
  stepStartedAt: null,
  reason: 'waits for its model versions and their generations',
  arms: ROLLOUT_EXAMPLE.arms.map((arm) => ({ ...arm, generation: null, percent: 0, endBucket: 0 })),
  notes: [],
};

const BODY = { schema: RolloutPlanSchema, example: { kind: 'canary', version: '3' } } as const;

/** The time limit of the estimate, in ms. */
const ESTIMATE_MS = 1_500;

export function startRollout({ rollouts, registry, runs, hintRun, findReadUsers }: RolloutRoutes) {
  /** Returns the notes of a started rollout. A failed estimate is logged, and noted. */
  const notesOn = async (plan: RolloutPlan, event: WideEvent): Promise<readonly string[]> => {
    const metrics = provenOutcomes(plan);
    if (plan.kind !== 'canary' || metrics.length === 0) return [];
    try {
      const reading = findReadUsers(metrics, decidedWithin(plan));
      const tooSlow = () => new Error(`the estimate took more than ${ESTIMATE_MS} ms`);
      return outcomeNeeds(plan, await within(ESTIMATE_MS, reading, tooSlow));
    } catch (error) {
      event.add({ estimateFailed: error });
      event.markNotable();
      return ["the users that a step needs could not be estimated; the service's log says why"];
    }
  };

  return defineEndpoint({
    operationId: 'startRollout',
    method: 'post',
    path: '/v1/predictors/{predictor}/rollouts',
    tag: 'rollouts',
    summary: 'Start a canary, a shadow or an A/B test',
    description:
      'The rollout is `preparing` until every process has loaded the model version. With `coverage: required` it also waits until the generation is computed. Then it starts automatically.',
    scope: 'rollouts:admin',
    params: PredictorPath,
    body: BODY,
    answer: {
      status: 201,
      description: 'Recorded. `Location` is the URL to watch',
      schema: StartedRolloutSchema,
      example: PREPARING_EXAMPLE,
      headers: locationHeader(`/v1/rollouts/${ROLLOUT_EXAMPLE.id}`),
    },
    problems: [
      'unknown_predictor',
      'unknown_model_version',
      'rollout_conflict',
      'never_stable',
      'version_archived',
      'unavailable',
    ],
    async handle(context, event, { actor }) {
      const body = await parseBody(context, BODY);
      const plan = planOf(body);
      const { name: predictor } = await requirePredictor(registry, context.req.param('predictor'));
      const hints = { plan: (runId: string) => hintRun(runId, event) };
      const rollout = await startRolloutOf({ rollouts, runs, hints }, { predictor, plan, actor });
      event.add({ predictor, rolloutId: rollout.id, kind: plan.kind });
      return withHeaders(
        { ...rolloutView(rollout), notes: await notesOn(plan, event) },
        { location: `/v1/rollouts/${rollout.id}` },
      );
    },
  });
}
