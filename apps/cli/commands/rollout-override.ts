/** `tandem rollout override`: a user is put into an arm by hand, to see what it answers. */
import type { Command } from 'commander';
import { type Cli, present } from '../command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/command.ts';
import { printable } from '../output/table.ts';
import { findActive } from '../rollouts/find-rollout.ts';

interface Options extends ApiOptions {
  readonly variant?: string;
}

export function rolloutOverrideCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'override',
    description: 'put a user into an arm whatever their bucket, or (without --variant) leave them to it again',
    example: 'tandem rollout override repurchase 42 --variant candidate',
    detail: 'Such users are served, and not counted in any analysis.',
  })
    .argument('<predictor>', 'whose rollout, or the id of one')
    .argument('<userId>')
    .option('--variant <arm>', 'the arm')
    .action(async (named: string, userId: string, { variant, ...options }: Options) => {
      const client = connect(cli, options);
      const { id } = await findActive(client, named);
      const overrides = await client.rollouts.override(id, userId, variant ?? null);
      present(cli, options, { overrides }, () =>
        overrides.length === 0
          ? ['nobody is in an arm by hand']
          : overrides.map((one) => `${printable(one.userId)}: ${one.variant}`),
      );
    });
}
