/** `tandem generation list`: what runs have published, and what is in force. */
import type { Command } from 'commander';
import { type Cli, present } from '../command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/command.ts';
import { renderGenerations } from '../generations/render-generations.ts';

interface Options extends ApiOptions {
  readonly all?: boolean;
}

export function generationListCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'list',
    description: 'list the generations of a predictor, newest first',
    example: 'tandem generation list repurchase',
  })
    .argument('<predictor>')
    .option('--all', 'also those that are dropped, whose predictions are gone')
    .action(async (predictor: string, options: Options) => {
      const every = await connect(cli, options).generations(predictor);
      const generations = options.all ? every : every.filter(({ state }) => state !== 'dropped');
      present(cli, options, { generations }, () => renderGenerations(generations, cli.paint, cli.now()));
    });
}
