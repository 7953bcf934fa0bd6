/** `tandem watch`: changes of a table make stored predictions stale, without an event. */
import type { Command } from 'commander';
import { findDatabaseUrls } from '../command-line/addresses.ts';
import { type Cli, type CommonOptions, present } from '../command-line/cli.ts';
import { createCommand } from '../command-line/command.ts';
import { withDatabases } from '../command-line/databases.ts';
import { parseList, parseWhole } from '../command-line/options.ts';
import { renderFindings } from '../output/finding.ts';
import type { WatchOptions } from './watch-table.ts';

type Options = CommonOptions & WatchOptions;

export function watchCommand(cli: Cli): Command {
  return createCommand({
    name: 'watch',
    description: 'make changes of a table raise context versions, by triggers; without a table: list which are watched',
    detail: `Creates statement-level triggers for insert, update, delete and truncate. In the transaction that changes a row
they raise the context version of its user, so that the next read computes a new answer. Changes from then on are seen.
A statement that leaves a user's rows as they were changes nothing. One that changes more than --max-users users makes
every stored prediction stale until the next run instead.
Takes the owner of the schema tandem and the right to create triggers on the table; the application needs no right.
Ends with 0: watched; 1: not watched; 2: wrong usage.`,
    example: 'tandem watch customers --key customer_id',
  })
    .argument('[table]', 'table or schema.table')
    .option('--key <sql>', 'the column with the user id, or SQL over the row (other tables with their schema)')
    .option('--everyone', 'a row belongs to every user: each change makes all stored predictions stale')
    .option('--columns <names>', 'the columns whose changes count (default: all)', parseList)
    .option('--predictors <names>', 'for these alone (default: those whose query reads the table)', parseList)
    .option('--max-users <n>', 'users that one statement raises one by one (default: 10000)', parseWhole(1))
    .action(async (table: string | undefined, options: Options) => {
      await withDatabases(findDatabaseUrls(cli), { applicationName: 'tandem-watch' }, async (databases) => {
        if (table === undefined) {
          const { listSources } = await import('../doctor/examine-sources.ts');
          const findings = await listSources(databases);
          present(cli, options, { sources: findings }, () => renderFindings(findings, cli.paint));
          return;
        }
        const { watchTable } = await import('./watch-table.ts');
        const { renderWatched } = await import('./render-watched.ts');
        const watched = await watchTable(databases, table, options);
        present(cli, options, watched, () => [
          renderWatched(watched),
          'Changes from now on are seen. What changed before is seen at the next run: tandem run start <predictor>',
        ]);
      });
    });
}
