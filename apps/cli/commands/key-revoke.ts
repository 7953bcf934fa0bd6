/** `tandem key revoke`: takes a key back, for good. */
import type { Command } from 'commander';
import { type Cli, type CommonOptions, present } from '../command-line/cli.ts';
import { createCommand } from '../command-line/command.ts';
import { withKeys } from '../keys/open-keys.ts';
import { printable } from '../output/table.ts';

export function keyRevokeCommand(cli: Cli): Command {
  return createCommand({
    name: 'revoke',
    description: 'take a key back, both its secrets; every process of the API refuses it within 5 s',
    example: 'tandem key revoke 3f9c2b7e01d4a586',
  })
    .argument('<id>')
    .action(async (id: string, options: CommonOptions) => {
      const { revokeApiKey } = await import('@tandem/offline-store/api-keys');
      const key = await withKeys(cli, (pool) => revokeApiKey(pool, id));
      present(cli, options, key, () => [`key ${key.id} (${printable(key.name)}) is revoked, refused within 5 s`]);
    });
}
