/** `tandem run list`: the newest runs. */
import type { Command } from 'commander';
import { type Cli, present } from '../command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/command.ts';
import { parseWhole } from '../command-line/options.ts';
import { renderRuns } from '../runs/render-run.ts';

interface Options extends ApiOptions {
  readonly predictor?: string;
  readonly limit: number;
  readonly before?: string;
}

export function runListCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'list',
    description: 'list runs, newest first',
    example: 'tandem run list --predictor repurchase --limit 5',
  })
    .option('--predictor <name>', 'of this predictor only')
    .option('--limit <count>', 'at most so many', parseWhole(1), 20)
    .option('--before <id>', 'those before this run: the last one of a page')
    .action(async (options: Options) => {
      const { predictor, limit, before } = options;
      const page = await connect(cli, options).runs.list({
        limit,
        ...(predictor === undefined ? {} : { predictor }),
        ...(before === undefined ? {} : { before }),
      });
      present(cli, options, page, ({ runs }) => renderRuns(runs, cli.paint, cli.now()));
    });
}
