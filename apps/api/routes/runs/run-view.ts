/** A run in the wire format. */
import { unknownRun } from '@tandem/freshness/errors';
import type { RunStore } from '@tandem/prediction/runs/run-store';
import type { Run } from '@tandem/prediction/runs/runs';
import type { RunView } from '@tandem/wire/runs';

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
