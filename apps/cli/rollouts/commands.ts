/** `tandem rollout list`: what was rolled out, and how it ended. */
import type { Command } from 'commander';
import { type Cli, present } from '../command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/command.ts';
import { parseWhole } from '../command-line/options.ts';
import { renderRollouts } from './render-rollout.ts';

interface Options extends ApiOptions {
  readonly predictor?: string;
  readonly limit: number;
  readonly before?: string;
}

export function rolloutListCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'list',
    description: 'list rollouts, newest first',
    example: 'tandem rollout list --predictor repurchase',
  })
    .option('--predictor <name>', 'of this predictor only')
    .option('--limit <count>', 'at most so many', parseWhole(1), 20)
    .option('--before <id>', 'those before this rollout: the last one of a page')
    .action(async ({ predictor, limit, before, ...options }: Options) => {
      const page = await connect(cli, options).rollouts.list({
        limit,
        ...(predictor === undefined ? {} : { predictor }),
        ...(before === undefined ? {} : { before }),
      });
      present(cli, options, page, ({ rollouts }) => renderRollouts(rollouts, cli.paint, cli.now()));
    });
}
