/** Plans and publishes a run immediately, as a worker does, for tests of other steps. */

import { unknownRun } from '@tandem/freshness/errors';
import type { LossNotice } from '../events/notice-loss.ts';
import type { GenerationLoader } from './online-generations.ts';
import { planRun } from './plan-run.ts';
import { type PublishedRun, publishRun } from './publish-run.ts';
import type { RunStore } from './run-store.ts';
import type { Run } from './runs.ts';

const lease = { leaseMs: 60_000, renewMs: 20_000 };
const hints = { plan: async () => {}, chunks: async () => {}, publish: async () => {}, load: async () => {} };
/** A loss notice that proves that no past was lost. */
export const NOTHING_LOST: Pick<LossNotice, 'prove'> = { prove: async () => true };
const LOADS_NOTHING = { completeLoad: async () => false };

/** Plans a run and returns it, planned or failed. Returns an already planned run unchanged. */
export async function planNow(runs: RunStore, runId: string): Promise<Run> {
  const report = await planRun({ runs, hints, lease }, runId);
  if (report.outcome === 'done') return report.result;
  if (report.outcome === 'given_back') throw new Error(report.error);
  const run = await runs.find(runId);
  if (!run) throw unknownRun(runId);
  return run;
}

/** Publishes a run; returns null if there is nothing to publish. */
export async function publishNow(
  runs: RunStore,
  runId: string,
  loader: Pick<GenerationLoader, 'completeLoad'> = LOADS_NOTHING,
): Promise<PublishedRun | null> {
  const report = await publishRun({ runs, hints, lease, loader, losses: NOTHING_LOST }, runId);
  if (report.outcome === 'given_back' || report.outcome === 'failed') throw new Error(report.error);
  return report.outcome === 'done' ? report.result : null;
}
