/**
 * `tandem migrate` and `tandem history rotate`: the commands for a database after an upgrade of Tandem and after a
 * restore.
 */
import { type Cli, createCommand, group, present } from '@tandem/commands/command';
import { findDatabaseUrl, withPool } from '@tandem/commands/environment';

export function migrateCommand(cli: Cli) {
  return createCommand({
    name: 'migrate',
    description: 'bring the schema of DATABASE_URL up to date; safe to run from several places at once',
    detail: `Processes of the previous release keep serving during and after the migration. --contract also drops what only earlier
releases use: afterwards you cannot go back to them. It fails while a process of another release is running.`,
    example: 'DATABASE_URL=postgres://… tandem migrate',
  })
    .option('--contract', 'also drop objects that only earlier releases use')
    .option(
      '--after-upgrade',
      'after the migration, wait up to 5 minutes until no process of another release is running',
    )
    .action(async (options) => {
      const url = findDatabaseUrl(cli);
      const { migrate } = await import('@tandem/offline-store/sql/migrate');
      const { contractSchema, untilUpgraded } = await import('@tandem/offline-store/upgrade');
      const applied = await migrate(url);
      if (options.afterUpgrade)
        await withPool(cli, { applicationName: 'tandem-migrate', max: 1 }, (pool) => untilUpgraded(pool));
      const contracted = options.contract ? await contractSchema(url) : [];
      const names = [...applied, ...contracted];
      present(cli, options, { applied, contracted }, () =>
        names.length === 0 ? ['the schema is up to date'] : names.map((name) => `migrated ${name}`),
      );
    });
}

export function historyCommands(cli: Cli) {
  return group('history', 'the history: the identity of the past of the database', [historyRotateCommand(cli)]);
}

function historyRotateCommand(cli: Cli) {
  return createCommand({
    name: 'rotate',
    description:
      'reject context tokens and ignore overlay entries from before a restore of Postgres; run it after the restore',
    example: 'DATABASE_URL=postgres://… tandem history rotate',
  }).action(async (options) => {
    const change = await withPool(cli, { applicationName: 'tandem-history', max: 1 }, async (pool) => {
      const { rotateHistory } = await import('@tandem/offline-store/sql/history-marks');
      return rotateHistory(pool, 'cli');
    });
    present(cli, options, change, ({ from, to }) => [
      `the history is ${to}; it was ${from}`,
      'Earlier context tokens are rejected (409, history_changed), and earlier overlay entries are ignored.',
    ]);
  });
}
