/** `tandem adopt`: puts a config in force. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { modelMemoryMb } from '../adoption/model-memory.ts';
import { type Cli, type CommonOptions, present } from '../cli.ts';
import { createCommand } from '../command-line/create-command.ts';
import { findDatabaseUrls } from '../servers/addresses.ts';
import { withDatabases } from '../servers/databases.ts';

interface Options extends CommonOptions {
  readonly config: string;
}

export function adoptCommand(cli: Cli): Command {
  return createCommand({
    name: 'adopt',
    description: 'check a config and put it in force; adopting the same one again changes nothing',
    detail: `A config is all that a database serves: a predictor that is in force and not in it is served no longer.`,
    example: 'tandem adopt --config ./tandem.config.ts',
  })
    .option('--config <path>', 'the config', 'tandem.config.ts')
    .action(async (options: Options) => {
      const { adoptConfig, renderAdoption } = await import('../adoption/adopt-config.ts');
      await withDatabases(findDatabaseUrls(cli), { applicationName: 'tandem-adopt' }, async (databases) => {
        const told = { say: (line: string) => cli.stderr.write(`${line}\n`), cwd: cli.cwd };
        const adopted = await adoptConfig(databases, resolve(cli.cwd, options.config), modelMemoryMb(cli), told);
        present(cli, options, adopted, () => renderAdoption(adopted, cli.cwd));
      });
    });
}
