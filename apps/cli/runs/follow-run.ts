/** Waits for the end of a run and shows its progress. */
import type { Client } from '@tandem/client/create-client';
import { isFinished, type Run } from '@tandem/client/wire';
import type { Cli } from '@tandem/commands/command';
import { CommandFailure } from '@tandem/commands/failure';
import { createProgressDisplay } from '@tandem/commands/output/progress';
import { HELD_BACK, NO_ROWS } from '@tandem/prediction/runs/runs';

/** Returns the finished run with the users that could not be scored. Rejects if interrupted, but the run continues. */
export async function followRun(cli: Cli, client: Client, run: Run, label = ''): Promise<Run> {
  const display = createProgressDisplay(cli, 'users', label);
  const startedAt = cli.now();
  try {
    if (!isFinished(run.state)) {
      for await (const { usersScored, usersFailed, usersExpected } of client.runs.watch(run.id, {
        signal: cli.signal,
      })) {
        display.update({ done: usersScored + usersFailed, total: usersExpected, elapsedMs: cli.now() - startedAt });
      }
    }
  } finally {
    display.end();
  }
  return client.runs.show(run.id);
}

/** Throws if the run did not succeed. */
export function throwUnlessDone(run: Run): void {
  if (run.state === 'done' || run.state === 'done_with_errors') return;
  throw new CommandFailure(`run ${run.id} is ${run.state}${run.error === null ? '' : `: ${run.error}`}`, {
    remedy: remedyFor(run),
    presented: true,
  });
}

function remedyFor({ id, predictor, state, error, generation }: Run): string | undefined {
  if (error?.startsWith(HELD_BACK)) {
    return `if the change is intended, publish it: npx tandem generation approve ${predictor} ${generation}`;
  }
  if (error === NO_ROWS) return `start another run once the table has rows: npx tandem run start ${predictor}`;
  return state === 'failed' || state === 'cancelled' ? `resume it: npx tandem run resume ${id}` : undefined;
}
