/** A run in the wire format. */
import { unknownRun } from '@tandem/freshness/errors';
import type { RunStore } from '@tandem/prediction/runs/run-store';
import type { Run } from '@tandem/prediction/runs/runs';
import type { WideEvent } from '@tandem/telemetry/wide-event';
import { within } from '@tandem/timing/within';
import type { RunView } from '@tandem/wire/runs';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';

export function runView(run: Run): RunView {
  const { id, predictor, scope, state, reason, budget, error, attempts, attemptError } = run;
  const { usersExpected, usersScored, usersFailed, chunkCount, chunksCommitted } = run;
  return {
    id,
    predictor,
    scope,
    state,
    reason,
    budget,
    error,
    attempts,
    attemptError,
    modelVersion: String(run.modelNumber),
    generation: run.generationNumber === null ? null : String(run.generationNumber),
    usersExpected,
    usersScored,
    usersFailed,
    chunkCount,
    chunksCommitted,
    scheduledFor: run.scheduleSlot?.toISOString() ?? null,
    createdAt: run.createdAt.toISOString(),
    startedAt: run.startedAt?.toISOString() ?? null,
    finishedAt: run.finishedAt?.toISOString() ?? null,
  };
}

/** Finds a run. Rejects with `unknown_run`. */
export async function requireRun(runs: Pick<RunStore, 'find'>, id: string): Promise<Run> {
  const run = await runs.find(id);
  if (!run) throw unknownRun(id);
  return run;
}

// Notifies a worker of a run within a time limit. The run is already in Postgres, so an answer never waits long for
// Redis.

const BUDGET_MS = 250;

export async function hintWorker(
  { enqueuePlan }: Pick<RouteDependencies, 'enqueuePlan'>,
  runId: string,
  event: WideEvent,
): Promise<void> {
  try {
    await within(BUDGET_MS, enqueuePlan(runId), () => new Error('the queue did not answer in time'));
  } catch (error) {
    event.add({ hintFailed: error });
  }
}
