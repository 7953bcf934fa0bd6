/** `tandem run cancel`: stops a run. */
import type { Command } from 'commander';
import { type Cli, present } from '../command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/command.ts';
import { renderRun } from '../runs/render-run.ts';

export function runCancelCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'cancel',
    description: 'stop a run: chunks that wait are dropped, those under way commit nothing more',
    example: 'tandem run cancel 0198c0de-5d3a-7c9b-8e21-3f0a5b6c7d8e',
  })
    .argument('<id>')
    .action(async (id: string, options: ApiOptions) => {
      const run = await connect(cli, options).runs.cancel(id);
      present(cli, options, run, () => renderRun(run, cli.paint, cli.now()));
    });
}
