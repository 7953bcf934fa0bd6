/** `tandem migrate`: brings the database's schema up to date. */
import type { Command } from 'commander';
import { type Cli, type CommonOptions, present } from '../cli.ts';
import { createCommand } from '../command-line/create-command.ts';
import { findDatabaseUrl } from '../servers/addresses.ts';

export function migrateCommand(cli: Cli): Command {
  return createCommand({
    name: 'migrate',
    description: 'bring the schema of DATABASE_URL up to date; safe to run from several places at once',
    example: 'DATABASE_URL=postgres://… tandem migrate',
  }).action(async (options: CommonOptions) => {
    const url = findDatabaseUrl(cli);
    const { migrate } = await import('@tandem/offline-store/sql/migrate');
    const applied = await migrate(url);
    present(cli, options, { applied }, () =>
      applied.length === 0 ? ['the schema is up to date'] : applied.map((name) => `migrated ${name}`),
    );
  });
}
