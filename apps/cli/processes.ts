/** `tandem process list`: the live processes, and which model versions each has loaded. */
import type { Command } from 'commander';
import { type Cli, present } from './command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from './command-line/command.ts';
import { renderProcesses } from './output/render-processes.ts';

export function processListCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'list',
    description: 'list the live processes and the model versions that each has loaded',
    example: 'tandem process list',
  }).action(async (options: ApiOptions) => {
    const processes = await connect(cli, options).processes();
    present(cli, options, { processes }, () => renderProcesses(processes, cli.paint, cli.now()));
  });
}
