/** Opens the dependencies of the endpoints for runs, generations, reports and the audit. */
import { createGenerationStore } from '@tandem/offline-store/generations/generations';
import { listProcesses } from '@tandem/offline-store/processes/processes';
import { findBudgetFacts } from '@tandem/offline-store/runs/budget-facts';
import { createReportStore, createRunStore } from '@tandem/offline-store/runs/run-store';
import { type AuditPage, listAudit } from '@tandem/offline-store/sql/audit';
import { findCount } from '@tandem/offline-store/sql/settings';
import type { LossNotice } from '@tandem/prediction/events/notice-loss';
import type { OnlineCount } from '@tandem/prediction/online-count';
import { createConfirming } from '@tandem/prediction/runs/withdrawals';
import type { Queue } from '@tandem/queue/enqueue';
import type { ApiPools } from './open-pools.ts';
import { withReadyRollback } from './ready-rollback.ts';
import { createRunWatcher } from './run-watcher.ts';

interface RunParts extends Pick<ApiPools, 'pool' | 'features'> {
  readonly losses: Pick<LossNotice, 'prove'>;
  /** How long a rollback waits for loads of its model version, in ms; absent: a default. */
  readonly limitMs?: number | undefined;
  /** The count of withdrawals in Redis. */
  readonly withdrawals: OnlineCount;
}

export function openRuns({ pool, features, losses, limitMs, withdrawals }: RunParts, queue: Queue) {
  const countWithdrawals = () => findCount(pool, 'withdrawals');
  const confirming = createConfirming({ countWithdrawals, online: withdrawals });
  const runs = createRunStore(pool, { features });
  return {
    runs,
    runWatcher: createRunWatcher({ find: (runId) => runs.find(runId) }),
    enqueuePlan: (runId: string) => enqueuePlan(queue, runId),
    generations: withReadyRollback(createGenerationStore(pool), pool, { confirming, withinMs: limitMs }),
    findBudgetFacts: (predictor: string) => findBudgetFacts(pool, predictor),
    listProcesses: () => listProcesses(pool),
    confirming,
    listAudit: (page: AuditPage) => listAudit(pool, page),
    reports: createReportStore(pool, losses.prove),
  };
}

/** Enqueues the job. Rejects if the queue does not accept it; a worker's reconciler then finds the run. */
async function enqueuePlan(queue: Queue, runId: string): Promise<void> {
  if (!(await queue.enqueue('plan-run', { runId }))) throw new Error('the queue did not accept the job');
}
