/** `tandem user erase`: removes a user from every store. */
import type { ErasureReceipt } from '@tandem/client/wire';
import type { Command } from 'commander';
import { type Cli, present } from './command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from './command-line/command.ts';
import { confirm } from './command-line/confirm.ts';
import { printable, renderFields } from './output/table.ts';

interface Options extends ApiOptions {
  readonly yes?: boolean;
}

export function userEraseCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'erase',
    description: 'erase a user from every store, with a receipt; nothing of before is ever served again',
    example: 'tandem user erase 42 --yes',
  })
    .argument('<userId>')
    .option('--yes', 'do not ask')
    .action(async (userId: string, options: Options) => {
      if (!options.yes) await confirm(cli, `Erase all that is stored of user ${printable(userId)}, for good?`);
      present(cli, options, await connect(cli, options).eraseUser(userId), renderReceipt);
    });
}

function renderReceipt({ userId, erasedAt, contextVersion, deleted: { postgres, redis } }: ErasureReceipt): string[] {
  return renderFields([
    ['erased', `user ${printable(userId)} at ${erasedAt}, context version ${contextVersion}`],
    [
      'postgres',
      `${postgres.predictions} predictions, ${postgres.overlayEntries} live answers, data of ${postgres.events} events, ${postgres.contextValues} context values, ${postgres.runFailures} failures in runs, ${postgres.outcomes} outcomes, ${postgres.exposures} exposures, ${postgres.keptExplanations} kept explanations`,
    ],
    ['redis', `${redis.predictions} predictions, ${redis.overlayEntries} live answers`],
  ]);
}
