/** `tandem unwatch`: removes the triggers that `tandem watch` or a config's `features.watch` created. */
import type { Command } from 'commander';
import { type Cli, type CommonOptions, present } from '../cli.ts';
import { createCommand } from '../command-line/create-command.ts';
import { CommandFailure } from '../failure.ts';
import { printable } from '../output/table.ts';
import { findDatabaseUrl } from '../servers/addresses.ts';

export function unwatchCommand(cli: Cli): Command {
  return createCommand({
    name: 'unwatch',
    description: 'stop watching a table: its changes are seen at the next run again',
    detail: `Removes the table's triggers and their function. Take it out of features.watch as well, where a config names it:
adopting that config would watch it again. Ends with 0: not watched any more; 1: it was not watched.`,
    example: 'tandem unwatch customers',
  })
    .argument('<table>', 'table or schema.table')
    .action(async (table: string, options: CommonOptions) => {
      const url = findDatabaseUrl(cli);
      const { createPool } = await import('@tandem/offline-store/database');
      const { unwatchSource } = await import('@tandem/offline-store/watch-source');
      const pool = createPool({ url, max: 2, applicationName: 'tandem-unwatch' });
      try {
        const ended = await unwatchSource(pool, table, 'cli');
        if (ended.length === 0) {
          throw new CommandFailure(`${table} is not watched`, { remedy: 'tandem watch lists the tables that are' });
        }
        present(cli, options, { table, watched: false, ended }, () =>
          ended.map((name) => `${printable(name)}: not watched any more`),
        );
      } finally {
        await pool.end();
      }
    });
}
