/**
 * `tandem watch` and `tandem unwatch`: start and stop watching a table, whose changes then make stored predictions
 * stale without an event.
 */
import { type Cli, createCommand, type OptionsOf, parseList, parseWhole, present } from '@tandem/commands/command';
import { findDatabaseUrls, withDatabases, withPool } from '@tandem/commands/environment';
import { CommandFailure } from '@tandem/commands/failure';
import { renderFindings } from '@tandem/commands/output/finding';
import { printable } from '@tandem/commands/output/text';

function createWatchCommand() {
  return createCommand({
    name: 'watch',
    description:
      'watch a table: triggers raise context versions when it changes; without a table, list the watched tables',
    detail: `Creates statement-level triggers for insert, update, delete and truncate. In the transaction that changes a row,
they raise the context version of its user, so that the next read computes a new prediction. They ignore earlier
changes, which the next run reads.
A statement that does not change the rows of a user raises no version. A statement that changes more than --max-users users
instead makes every stored prediction stale until the next run.
Requires the owner of the schema tandem with the right to create triggers on the table. The application needs no new right.
Exit codes: 0 if the table is watched; 1 if not; 2 for wrong usage.`,
    example: 'tandem watch customers --key customer_id',
  })
    .argument('[table]', 'table or schema.table')
    .option(
      '--key <sql>',
      'the column with the user id, or an SQL expression of the row (name other tables with their schema)',
    )
    .option('--everyone', 'each row belongs to all users, so each change makes all stored predictions stale')
    .option('--columns <names>', 'the columns whose changes count (default: all)', parseList)
    .option(
      '--predictors <names>',
      'the predictors to watch the table for (default: those whose query reads the table)',
      parseList,
    )
    .option(
      '--max-users <n>',
      'the most users whose versions one statement raises individually (default: 10000)',
      parseWhole(1),
    );
}

export type WatchOptions = OptionsOf<typeof createWatchCommand>;

export function watchCommand(cli: Cli) {
  return createWatchCommand().action(async (table, options) => {
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

export function unwatchCommand(cli: Cli) {
  return createCommand({
    name: 'unwatch',
    description: 'stop watching a table: its changes no longer raise context versions',
    detail: `Removes the triggers of the table and their function. If features.watch of a config names the table, remove it there too:
adopting that config would watch it again. Exit codes: 0 if it is no longer watched; 1 if it was not watched.`,
    example: 'tandem unwatch customers',
  })
    .argument('<table>', 'table or schema.table')
    .action(async (table, options) => {
      const { unwatchSource } = await import('@tandem/offline-store/sources/watch-source');
      const { findTable } = await import('@tandem/offline-store/sources/watchable-table');
      const { listDeclaredWatches } = await import('@tandem/offline-store/sources/watched-sources');
      await withPool(cli, { applicationName: 'tandem-unwatch', max: 2 }, async (pool) => {
        const ended = await unwatchSource(pool, table, 'cli');
        if (ended.length === 0) {
          throw new CommandFailure(`${table} is not watched`, { remedy: 'tandem watch lists the watched tables' });
        }
        const named = await findTable(pool, table);
        const declared = (await listDeclaredWatches(pool)).filter(({ oid }) => named && oid === named.oid);
        const predictors = declared.map(({ predictor }) => predictor);
        present(cli, options, { table, watched: false, ended, declaredBy: predictors }, () => [
          ...ended.map((name) => `${printable(name)}: no longer watched`),
          ...(predictors.length > 0 ? [stillDeclared(predictors)] : []),
        ]);
      });
    });
}

function stillDeclared(predictors: readonly string[]): string {
  const names = predictors.join(', ');
  return `features.watch of the adopted config names this table for ${names}: remove it there, or the next adoption watches it again`;
}
