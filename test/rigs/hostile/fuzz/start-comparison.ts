/** Adopts another model version and starts an A/B test between both versions, so that reads come from two arms. */

import type { AnalysisPlan } from '@tandem/freshness/rollout';
import { adopt } from '@tandem/offline-store/adopt';
import { createGenerationStore } from '@tandem/offline-store/generations/generations';
import { createRolloutStore } from '@tandem/rollouts/statements/rollouts';
import { echoModel } from '@tandem/testing/onnx-models';
import { COUNT, loadedPredictor, type Pool } from '../../../e2e/counts.fixture.ts';

const ACTOR = 'fuzz';
const ANALYSIS: AnalysisPlan = {
  ...{ automatic: true, dryRun: false, intervalMs: 60_000, minStepMs: 600_000, minUsers: 200, alpha: 0.05 },
  guardrails: { errorRate: 0.01, slowShare: 0.05, slowMs: 100, liveShare: null, psi: 0.25 },
  outcomes: [
    { name: 'order', kind: 'binary', windowMs: 60_000, better: 'higher', guardrail: false, minimumEffect: 0.1 },
  ],
};

/**
 * Starts the comparison and returns the rollout's id. Most users are still served from the generation of the previous
 * version.
 */
export async function startComparison(pool: Pool): Promise<string> {
  const other = { name: COUNT, model: echoModel('float32', 1), columns: ['load'] as const };
  await adopt(pool, { predictors: [loadedPredictor({ ...other, freshness: {}, batch: {} })], actor: ACTOR });
  await createGenerationStore(pool).rollBack({ predictor: COUNT, to: 1, actor: ACTOR });
  const rollouts = createRolloutStore(pool);
  const arms = [{ name: 'second', version: 2, weight: 30 }];
  const plan = { kind: 'ab', arms, coverage: 'live', analysis: ANALYSIS } as const;
  const { id } = await rollouts.create({ predictor: COUNT, plan, actor: ACTOR });
  await rollouts.begin(id, { actor: ACTOR, reason: 'for the fuzz' });
  return id;
}
