/** Runs a batch of all users from start to end. */

import type { Client } from '@tandem/client/create-client';
import { isFinished, type Run } from '@tandem/client/wire';
import { isProblem } from '@tandem/transport/client-errors';

/** Runs a batch and waits for its end. If a run of all users is already in progress, waits for that run first. */
export async function runBatch(tandem: Client): Promise<Run> {
  const started = await startRun(tandem);
  const run = await finish(tandem, started);
  if (run.state !== 'done')
    throw new Error(`run ${run.id} ended as ${run.state}: ${run.error ?? `${run.usersFailed} customers failed`}`);
  return run;
}

async function startRun(tandem: Client): Promise<Run> {
  const request = { predictor: 'repurchase', scope: 'all' } as const;
  try {
    return await tandem.runs.start(request);
  } catch (error) {
    if (!isProblem(error, 'run_conflict')) throw error;
    const { runs } = await tandem.runs.list({ predictor: 'repurchase' });
    const unfinished = runs.find((run) => run.scope === 'all' && !isFinished(run.state));
    if (unfinished) await finish(tandem, unfinished);
    return tandem.runs.start(request);
  }
}

async function finish(tandem: Client, started: Run): Promise<Run> {
  let run = started;
  for await (run of tandem.runs.watch(started.id));
  return run;
}
