/** `tandem user readmit`: ends an erasure. */
import type { Command } from 'commander';
import { type Cli, present } from '../command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/command.ts';
import { printable } from '../output/table.ts';

export function userReadmitCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'readmit',
    description: 'serve an erased user again, from what is computed from now on',
    example: 'tandem user readmit 42',
  })
    .argument('<userId>')
    .action(async (userId: string, options: ApiOptions) => {
      const readmission = await connect(cli, options).readmitUser(userId);
      present(cli, options, readmission, ({ status, contextVersion }) => [
        `user ${printable(userId)}: ${status === 'readmitted' ? 'readmitted' : 'was not erased'}, context version ${contextVersion}`,
      ]);
    });
}
