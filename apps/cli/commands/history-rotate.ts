/** `tandem history rotate`: says of a restored database that it is not the one it was copied from. */
import type { Command } from 'commander';
import { type Cli, type CommonOptions, present } from '../cli.ts';
import { createCommand } from '../command-line/create-command.ts';
import { findDatabaseUrl } from '../servers/addresses.ts';

export function historyRotateCommand(cli: Cli): Command {
  return createCommand({
    name: 'rotate',
    description: 'after a restore of Postgres: what anybody learned of it before proves nothing any more',
    example: 'DATABASE_URL=postgres://… tandem history rotate',
  }).action(async (options: CommonOptions) => {
    const url = findDatabaseUrl(cli);
    const { createPool } = await import('@tandem/offline-store/sql/database');
    const { rotateHistory } = await import('@tandem/offline-store/sql/history-marks');
    const pool = createPool({ url, max: 1, applicationName: 'tandem-history' });
    try {
      const change = await rotateHistory(pool, 'cli');
      present(cli, options, change, ({ from, to }) => [
        `the history is ${to}; it was ${from}`,
        'Context tokens of before are refused (409, history_changed), and overlay entries count for nothing.',
      ]);
    } finally {
      await pool.end();
    }
  });
}
