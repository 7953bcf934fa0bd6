/** `tandem user`: erases a user from every store, and ends an erasure. */
import type { ErasureReceipt } from '@tandem/client/wire';
import { type Cli, confirm, createApiCommand, group, present } from '@tandem/commands/command';
import { printable, renderFields } from '@tandem/commands/output/text';
import { connect } from './client/connect.ts';

export function userCommands(cli: Cli) {
  return group('user', 'erase and readmit users', [userEraseCommand(cli), userReadmitCommand(cli)]);
}

function userEraseCommand(cli: Cli) {
  return createApiCommand({
    name: 'erase',
    description: 'erase a user from every store, with a receipt; earlier predictions are never served again',
    example: 'tandem user erase 42 --yes',
  })
    .argument('<userId>')
    .option('--yes', 'do not ask')
    .action(async (userId, options) => {
      if (!options.yes) await confirm(cli, `Erase all stored records of user ${printable(userId)} permanently?`);
      present(cli, options, await connect(cli, options).eraseUser(userId), renderReceipt);
    });
}

function renderReceipt({ userId, erasedAt, contextVersion, deleted: { postgres, redis } }: ErasureReceipt): string[] {
  return renderFields([
    ['erased', `user ${printable(userId)} at ${erasedAt}, context version ${contextVersion}`],
    [
      'postgres',
      `${postgres.predictions} predictions, ${postgres.overlayEntries} live answers, data of ${postgres.events} events, ${postgres.contextValues} context values, ${postgres.runFailures} failures in runs, ${postgres.outcomes} outcomes, ${postgres.exposures} exposures, ${postgres.keptExplanations} kept explanations, ${postgres.readCounts} read counts`,
    ],
    ['redis', `${redis.predictions} predictions, ${redis.overlayEntries} live answers`],
  ]);
}

function userReadmitCommand(cli: Cli) {
  return createApiCommand({
    name: 'readmit',
    description: 'serve an erased user again, with predictions computed from now on',
    example: 'tandem user readmit 42',
  })
    .argument('<userId>')
    .action(async (userId, options) => {
      const readmission = await connect(cli, options).readmitUser(userId);
      present(cli, options, readmission, ({ status, contextVersion }) => [
        `user ${printable(userId)}: ${status === 'readmitted' ? 'readmitted' : 'was not erased'}, context version ${contextVersion}`,
      ]);
    });
}
