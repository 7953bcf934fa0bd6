/** `tandem key create`: an API key, shown once. */
import type { Scope } from '@tandem/prediction/keys/api-key';
import { SCOPES } from '@tandem/prediction/keys/api-key';
import type { Command } from 'commander';
import { type Cli, type CommonOptions, present } from '../command-line/cli.ts';
import { createCommand } from '../command-line/command.ts';
import { findPepper, withKeys } from './open-keys.ts';
import { parseName, parseRate, parseScopes, parseSpan } from './parse-key-options.ts';
import { renderNewKey } from './render-keys.ts';

interface Options extends CommonOptions {
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly expires?: number;
  readonly rate?: number;
  readonly liveRate?: number;
  readonly test?: boolean;
}

export function keyCreateCommand(cli: Cli): Command {
  return createCommand({
    name: 'create',
    description: 'make an API key in DATABASE_URL; its text is shown once',
    detail: `Scopes: ${SCOPES.join(', ')}; all: these. Limits hold for each process of the API.`,
    example: 'tandem key create --name shop --scopes predictions:read,events:write --expires 90d --rate 100/s',
  })
    .requiredOption('--name <name>', 'who will use it', parseName)
    .requiredOption('--scopes <list>', 'what it may do, separated by commas; or all', parseScopes)
    .option('--expires <span>', 'how long it counts, like 90d (default: until it is revoked)', parseSpan)
    .option('--rate <rate>', 'requests, like 100/s (default: no limit)', parseRate)
    .option('--live-rate <rate>', 'users inferred live, like 20/s (default: no limit)', parseRate)
    .option('--test', 'tandem_test_… instead of tandem_live_…: told apart by people and scanners')
    .action(async (options: Options) => {
      const pepper = findPepper(cli);
      const { insertApiKey } = await import('@tandem/offline-store/api-keys');
      const key = {
        name: options.name,
        kind: options.test ? ('test' as const) : ('live' as const),
        scopes: options.scopes,
        expiresInMs: options.expires ?? null,
        requestsPerSecond: options.rate ?? null,
        livePerSecond: options.liveRate ?? null,
      };
      const made = await withKeys(cli, (pool) => insertApiKey(pool, key, pepper));
      present(cli, options, made, () => renderNewKey(made, cli.paint));
    });
}
