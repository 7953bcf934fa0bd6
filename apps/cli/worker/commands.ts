/** `tandem worker`: workers on this machine, as many as what waits needs. */
import type { Command } from 'commander';
import { type Cli, createCommand } from '../command-line/command.ts';
import { usageError } from '../command-line/failure.ts';

interface Options {
  readonly autoscale: string;
  readonly hold: string;
}

export function workerCommand(cli: Cli): Command {
  return createCommand({
    name: 'worker',
    description: 'run workers on this machine: one, or as many as what waits needs',
    detail: `With --autoscale 0..4 it runs as many workers as the waiting runs need to meet their deadlines (RUN_DEADLINE_MINUTES, or
the next slot of their schedule) at the rate that was measured, and none while nothing waits: no run, no due slot, no event
that Redis was not told of, no generation that it lost, no erasure to repeat, no rollout, no housekeeping for an hour. Each
worker opens connections of its own (DATABASE_CONNECTIONS).
With WORKER_PORT the first worker listens there, the second at the next port, and so on.`,
    example: 'tandem worker --autoscale 0..4',
  })
    .option('--autoscale <least..most>', 'how many workers at least and at most', '1..1')
    .option('--hold <seconds>', 'how long fewer must be enough before one is ended', '300')
    .action(async ({ autoscale, hold }: Options) => {
      const { runWorkers } = await import('./run-workers.ts');
      await runWorkers(cli, { ...parseRange(autoscale), holdMs: 1_000 * parseWhole('--hold', hold, 86_400) });
    });
}

/** More would not fit a machine, nor its Postgres. */
const MOST_WORKERS = 64;

export function parseRange(said: string): { readonly min: number; readonly max: number } {
  const [, least = '', most = ''] = /^(\d+)\.\.(\d+)$/.exec(said) ?? [];
  const [min, max] = [Number(least), Number(most)];
  if (least !== '' && min <= max && max >= 1 && max <= MOST_WORKERS) return { min, max };
  throw usageError(
    `--autoscale ${said} is no range of workers`,
    `write the least and the most, up to ${MOST_WORKERS}: --autoscale 0..4`,
  );
}

function parseWhole(name: string, said: string, most: number): number {
  if (/^\d{1,9}$/.test(said) && Number(said) <= most) return Number(said);
  throw usageError(`${name} ${said} is no number of seconds`, `write a whole number up to ${most}: ${name} 300`);
}
