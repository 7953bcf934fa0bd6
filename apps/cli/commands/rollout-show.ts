/** `tandem rollout show`: who is served what by a rollout, and what it waits for. */
import type { Command } from 'commander';
import { type Cli, present } from '../command-line/cli.ts';
import { type ApiOptions, connect, createApiCommand } from '../command-line/command.ts';
import { findRollout } from '../rollouts/find-rollout.ts';
import { renderRollout } from '../rollouts/render-rollout.ts';

export function rolloutShowCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'show',
    description: 'show the newest rollout of a predictor, or one by its id',
    example: 'tandem rollout show repurchase',
  })
    .argument('<predictor>', 'whose rollout, or the id of one')
    .action(async (named: string, options: ApiOptions) => {
      const rollout = await findRollout(connect(cli, options), named);
      present(cli, options, rollout, () => renderRollout(rollout, cli.paint, cli.now()));
    });
}
