/** `tandem key list`: the API keys, without their secrets, which nobody has. */
import type { Command } from 'commander';
import { type Cli, type CommonOptions, present } from '../command-line/cli.ts';
import { createCommand } from '../command-line/command.ts';
import { withKeys } from '../keys/open-keys.ts';
import { renderKeys } from '../keys/render-keys.ts';

interface Options extends CommonOptions {
  readonly all?: boolean;
}

export function keyListCommand(cli: Cli): Command {
  return createCommand({
    name: 'list',
    description: 'list API keys, newest first',
    example: 'tandem key list --all',
  })
    .option('--all', 'those too that are expired or revoked (kept for 90 days)')
    .action(async (options: Options) => {
      const { listApiKeys } = await import('@tandem/offline-store/api-keys');
      const all = await withKeys(cli, listApiKeys);
      const keys = options.all ? all : all.filter(({ state }) => state === 'active' || state === 'rotating');
      present(cli, options, { keys }, () => renderKeys(keys, cli.paint, cli.now()));
    });
}
