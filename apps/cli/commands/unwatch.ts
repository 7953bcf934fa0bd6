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
      const { createPool } = await import('@tandem/offline-store/sql/database');
      const { unwatchSource } = await import('@tandem/offline-store/sources/watch-source');
      const { findTable } = await import('@tandem/offline-store/sources/watchable-table');
      const { listDeclaredWatches } = await import('@tandem/offline-store/sources/watched-sources');
      const pool = createPool({ url, max: 2, applicationName: 'tandem-unwatch' });
      try {
        const ended = await unwatchSource(pool, table, 'cli');
        if (ended.length === 0) {
          throw new CommandFailure(`${table} is not watched`, { remedy: 'tandem watch lists the tables that are' });
        }
        const named = await findTable(pool, table);
        const declared = (await listDeclaredWatches(pool)).filter(({ oid }) => named && oid === named.oid);
        const predictors = declared.map(({ predictor }) => predictor);
        present(cli, options, { table, watched: false, ended, declaredBy: predictors }, () => [
          ...ended.map((name) => `${printable(name)}: not watched any more`),
          ...(predictors.length > 0 ? [stillDeclared(predictors)] : []),
        ]);
      } finally {
        await pool.end();
      }
    });
}

function stillDeclared(predictors: readonly string[]): string {
  const names = predictors.join(', ');
  return `features.watch of the adopted config names it, for ${names}: take it out there, or the next adoption watches it again`;
}
