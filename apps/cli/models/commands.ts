/** `tandem model archive` and `unarchive`: takes a model version out of lists and rollouts, or back in. */
import type { Command } from 'commander';
import { type Cli, present } from '../command-line/cli.ts';
import { type ApiOptions, type CommandText, connect, createApiCommand } from '../command-line/command.ts';
import { parseWhole } from '../command-line/options.ts';

export function modelArchiveCommand(cli: Cli): Command {
  return archiving(cli, true, {
    name: 'archive',
    description: 'leave a model version out of lists; no rollout or rollback goes to it',
    detail: `Nothing of it is deleted: tandem model list --archived shows it. A version that is served is refused. It comes back with
tandem model unarchive, or when it is pushed or adopted again.`,
    example: 'tandem model archive repurchase 2',
  });
}

export function modelUnarchiveCommand(cli: Cli): Command {
  return archiving(cli, false, {
    name: 'unarchive',
    description: 'take a model version out of the archive',
    example: 'tandem model unarchive repurchase 2',
  });
}

function archiving(cli: Cli, archived: boolean, text: CommandText): Command {
  return createApiCommand(text)
    .argument('<predictor>')
    .argument('<version>', 'its number', parseWhole(1))
    .action(async (predictor: string, version: number, options: ApiOptions) => {
      const model = await connect(cli, options).archiveVersion(predictor, String(version), archived);
      present(cli, options, model, ({ archivedAt }) => [
        `${predictor}: model version ${version} is ${archivedAt === null ? 'not archived' : 'archived'}`,
      ]);
    });
}
