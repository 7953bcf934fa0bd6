/** What the endpoints of rollouts ask: the store that moves them, looks at them, and the audit. */

import { createRolloutChecks, listChecks } from '@tandem/offline-store/rollouts/rollout-checks';
import { createRolloutStore } from '@tandem/offline-store/rollouts/rollouts';
import { type AuditPage, listAudit } from '@tandem/offline-store/sql/audit';
import type { createPool } from '@tandem/offline-store/sql/database';

export function openRollouts(pool: ReturnType<typeof createPool>) {
  return {
    rollouts: createRolloutStore(pool),
    rolloutChecks: createRolloutChecks(pool),
    listChecks: (rolloutId: string, limit: number) => listChecks(pool, rolloutId, limit),
    listAudit: (page: AuditPage) => listAudit(pool, page),
  };
}
