/** `tandem explanation list`: answers that were kept. */
import type { Command } from 'commander';
import { type Cli, present } from '../command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/command.ts';
import { parseWhole } from '../command-line/options.ts';
import { renderKeptList } from './render-kept.ts';

interface Options extends ApiOptions {
  readonly predictor?: string;
  readonly user?: string;
  readonly limit: number;
  readonly before?: string;
}

export function explanationListCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'list',
    description: 'list answers that were kept with what they were made of, newest first',
    detail: 'Whose answers are kept, and for how long, the setting `explanations` of a predictor says.',
    example: 'tandem explanation list --predictor repurchase --user 42',
  })
    .option('--predictor <name>', 'of this predictor only')
    .option('--user <userId>', 'of this user only')
    .option('--limit <count>', 'at most so many', parseWhole(1), 20)
    .option('--before <place>', 'the page behind the one whose `next` this is (--json)')
    .action(async ({ predictor, user, limit, before, ...options }: Options) => {
      const page = await connect(cli, options).explanations.list({
        limit,
        ...(predictor === undefined ? {} : { predictor }),
        ...(user === undefined ? {} : { userId: user }),
        ...(before === undefined ? {} : { before }),
      });
      present(cli, options, page, ({ explanations }) => renderKeptList(explanations));
    });
}
