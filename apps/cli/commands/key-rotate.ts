/** `tandem key rotate`: a new secret for a key; the old one is accepted for a while. */
import type { Command } from 'commander';
import { type Cli, type CommonOptions, present } from '../command-line/cli.ts';
import { createCommand } from '../command-line/command.ts';
import { findPepper, withKeys } from '../keys/open-keys.ts';
import { parseGrace } from '../keys/parse-key-options.ts';
import { renderNewKey } from '../keys/render-keys.ts';

interface Options extends CommonOptions {
  readonly grace: number;
  readonly dropPrevious?: boolean;
}

const GRACE_MS = 24 * 3_600_000;

export function keyRotateCommand(cli: Cli): Command {
  return createCommand({
    name: 'rotate',
    description: 'give a key a new secret, shown once; id, scopes, limits and expiry stay',
    example: 'tandem key rotate 3f9c2b7e01d4a586 --grace 24h',
  })
    .argument('<id>')
    .option(
      '--grace <span>',
      'how long the secret in use until now is still accepted (default: 24h; 0: not at all)',
      parseGrace,
      GRACE_MS,
    )
    .option('--drop-previous', 'also where a rotation before this one still has its grace, which then ends')
    .action(async (id: string, options: Options) => {
      const pepper = findPepper(cli);
      const { rotateApiKey } = await import('@tandem/offline-store/api-keys');
      const rotation = { graceMs: options.grace, dropPrevious: options.dropPrevious === true };
      const key = await withKeys(cli, (pool) => rotateApiKey(pool, id, rotation, pepper));
      present(cli, options, key, () => renderNewKey(key, cli.paint));
    });
}
