/** `tandem rollout list`: what was rolled out, and how it ended. */
import type { Command } from 'commander';
import { type Cli, present } from '../cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/create-command.ts';
import { parseWhole } from '../command-line/parse-options.ts';
import { renderRollouts } from '../output/render-rollout.ts';

interface Options extends ApiOptions {
  readonly predictor?: string;
  readonly limit: number;
}

export function rolloutListCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'list',
    description: 'list rollouts, newest first',
    example: 'tandem rollout list --predictor repurchase',
  })
    .option('--predictor <name>', 'of this predictor only')
    .option('--limit <count>', 'at most so many', parseWhole(1), 20)
    .action(async ({ predictor, limit, ...options }: Options) => {
      const query = { limit, ...(predictor === undefined ? {} : { predictor }) };
      const page = await connect(cli, options).rollouts.list(query);
      present(cli, options, page, ({ rollouts }) => renderRollouts(rollouts, cli.paint, cli.now()));
    });
}
