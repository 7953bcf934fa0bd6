/** The dependencies of the rollout endpoints. */
import type { ApiHost } from '@tandem/extension/extension';
import type { OutcomeMetric } from '@tandem/freshness/rollout';
import { withConfirmedMoves } from '../rules/confirmed-moves.ts';
import { findReadUsers } from '../statements/read-users.ts';
import { createRolloutChecks, listChecks } from '../statements/rollout-checks.ts';
import { createRolloutStore } from '../statements/rollouts.ts';
import { findShadow } from '../statements/shadow.ts';

export type RolloutRoutes = ReturnType<typeof openRolloutRoutes>;

export function openRolloutRoutes(host: ApiHost) {
  const { pool, confirming } = host;
  return {
    ...host,
    rollouts: withConfirmedMoves(createRolloutStore(pool), confirming),
    findReadUsers: (metrics: readonly OutcomeMetric[], withinMs: number) => findReadUsers(pool, metrics, withinMs),
    rolloutChecks: createRolloutChecks(pool),
    findShadow: (rolloutId: string) => findShadow(pool, rolloutId),
    listChecks: (rolloutId: string, limit: number) => listChecks(pool, rolloutId, limit),
  };
}
