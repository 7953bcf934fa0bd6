/** `tandem watch` and `tandem unwatch`: whether changes of a table make stored predictions stale without an event. */
import type { Command } from 'commander';
import {
  type Cli,
  type CommonOptions,
  createCommand,
  parseList,
  parseWhole,
  present,
} from '../command-line/command.ts';
import { findDatabaseUrls, withDatabases, withPool } from '../command-line/environment.ts';
import { CommandFailure } from '../command-line/failure.ts';
import { renderFindings } from '../output/finding.ts';
import { printable } from '../output/text.ts';
import type { WatchOptions } from './watch-table.ts';

type Options = CommonOptions & WatchOptions;

export function watchCommand(cli: Cli): Command {
  return createCommand({
    name: 'watch',
    description: 'make changes of a table raise context versions, by triggers; without a table: list watched tables',
    detail: `Creates statement-level triggers for insert, update, delete and truncate. In the transaction that changes a row
they raise the context version of its user, so that the next read computes a new prediction. Earlier changes
raise nothing; the next run reads them.
A statement that leaves a user's rows as they were raises nothing. A statement that changes more than --max-users users
instead makes every stored prediction stale until the next run.
Requires the owner of the schema tandem and the right to create triggers on the table; the application needs no new right.
Ends with 0: watched; 1: not watched; 2: wrong usage.`,
    example: 'tandem watch customers --key customer_id',
  })
    .argument('[table]', 'table or schema.table')
    .option('--key <sql>', 'the column with the user id, or SQL over the row (other tables with their schema)')
    .option('--everyone', 'a row belongs to every user: each change makes all stored predictions stale')
    .option('--columns <names>', 'the columns whose changes count (default: all)', parseList)
    .option(
      '--predictors <names>',
      'only for these predictors (default: predictors whose query reads the table)',
      parseList,
    )
    .option('--max-users <n>', 'the most users that one statement raises individually (default: 10000)', parseWhole(1))
    .action(async (table: string | undefined, options: Options) => {
      await withDatabases(findDatabaseUrls(cli), { applicationName: 'tandem-watch' }, async (databases) => {
        if (table === undefined) {
          const { listSources } = await import('./list-sources.ts');
          const findings = await listSources(databases);
          present(cli, options, { sources: findings }, () => renderFindings(findings, cli.paint));
          return;
        }
        const { watchTable } = await import('./watch-table.ts');
        const { renderWatched } = await import('./watch-table.ts');
        const watched = await watchTable(databases, table, options);
        present(cli, options, watched, () => [
          renderWatched(watched),
          'Changes from now on make predictions stale. The next run reads earlier changes: tandem run start <predictor>',
        ]);
      });
    });
}

export function unwatchCommand(cli: Cli): Command {
  return createCommand({
    name: 'unwatch',
    description: 'stop watching a table: its changes no longer raise context versions',
    detail: `Removes the table's triggers and their function. Take it out of features.watch as well, where a config names it:
adopting that config would watch it again. Ends with 0: not watched any more; 1: it was not watched.`,
    example: 'tandem unwatch customers',
  })
    .argument('<table>', 'table or schema.table')
    .action(async (table: string, options: CommonOptions) => {
      const { unwatchSource } = await import('@tandem/offline-store/sources/watch-source');
      const { findTable } = await import('@tandem/offline-store/sources/watchable-table');
      const { listDeclaredWatches } = await import('@tandem/offline-store/sources/watched-sources');
      await withPool(cli, { applicationName: 'tandem-unwatch', max: 2 }, async (pool) => {
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
      });
    });
}

function stillDeclared(predictors: readonly string[]): string {
  const names = predictors.join(', ');
  return `features.watch of the adopted config names it, for ${names}: take it out there, or the next adoption watches it again`;
}
