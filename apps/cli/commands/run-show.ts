/** `tandem run show`: one run, now or until its end. */
import type { Command } from 'commander';
import { type Cli, present } from '../command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/command.ts';
import { followRun, throwUnlessDone } from '../runs/follow-run.ts';
import { renderRun } from '../runs/render-run.ts';

interface Options extends ApiOptions {
  readonly follow?: boolean;
}

export function runShowCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'show',
    description: 'show a run, with the users that could not be scored',
    example: 'tandem run show 0198c0de-5d3a-7c9b-8e21-3f0a5b6c7d8e --follow',
  })
    .argument('<id>')
    .option('--follow', 'wait until it has finished')
    .action(async (id: string, options: Options) => {
      const client = connect(cli, options);
      const found = await client.runs.show(id);
      const run = options.follow ? await followRun(cli, client, found) : found;
      present(cli, options, run, () => renderRun(run, cli.paint, cli.now()));
      if (options.follow) throwUnlessDone(run);
    });
}
