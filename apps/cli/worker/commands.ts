/** `tandem worker`: runs workers on this machine, as many as the waiting work needs. */
import { type Cli, createCommand, parseWhole } from '@tandem/commands/command';
import { usageError } from '@tandem/commands/failure';

export function workerCommand(cli: Cli) {
  return createCommand({
    name: 'worker',
    description: 'run workers on this machine: one, or as many as the waiting work needs',
    detail: `Without --autoscale, runs one worker. With --autoscale 0..4, runs as many workers as the waiting runs need to end by their
deadlines (RUN_DEADLINE_MINUTES, or the next slot of their schedule), at the measured rate. Runs no worker while
no work waits: no run, no due slot, no event to send to Redis, no generation to reload, no erasure to repeat, no
rollout, and no hourly housekeeping. A worker that is no longer needed returns its unfinished work. Each worker opens up to
37 connections to Postgres (DATABASE_CONNECTIONS). The first worker listens on WORKER_PORT, the second on the next port, etc.`,
    example: 'tandem worker --autoscale 0..4',
  })
    .option('--autoscale <least..most>', 'the fewest and the most workers', '1..1')
    .option('--hold <seconds>', 'the time for which fewer workers must suffice before one ends', parseWhole(0), 300)
    .action(async ({ autoscale, hold }) => {
      const { runWorkers } = await import('./run-workers.ts');
      await runWorkers(cli, { ...parseRange(autoscale), holdMs: 1_000 * hold });
    });
}

/** The most workers. More would not fit on a machine or its Postgres. */
const MOST_WORKERS = 64;

export function parseRange(said: string): { readonly min: number; readonly max: number } {
  const [, least = '', most = ''] = /^(\d+)\.\.(\d+)$/.exec(said) ?? [];
  const [min, max] = [Number(least), Number(most)];
  if (least !== '' && min <= max && max >= 1 && max <= MOST_WORKERS) return { min, max };
  throw usageError(
    `--autoscale ${said} is not a range of workers`,
    `write the minimum and the maximum, up to ${MOST_WORKERS}: --autoscale 0..4`,
  );
}
