/** `tandem run resume`: goes on with a run. */
import type { Command } from 'commander';
import { type Cli, present } from '../command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/command.ts';
import { renderRun } from '../runs/render-run.ts';

export function runResumeCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'resume',
    description: 'go on with a cancelled or failed run where it stood',
    example: 'tandem run resume 0198c0de-5d3a-7c9b-8e21-3f0a5b6c7d8e',
  })
    .argument('<id>')
    .action(async (id: string, options: ApiOptions) => {
      const run = await connect(cli, options).runs.resume(id);
      present(cli, options, run, () => renderRun(run, cli.paint, cli.now()));
    });
}
