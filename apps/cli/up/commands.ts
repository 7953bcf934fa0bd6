/** `tandem up`: everything on this machine, from nothing to answering. */
import { MOST_API_PROCESSES } from '@tandem/config/environment/environment-sections';
import { type Command, Option } from 'commander';
import { type Cli, createCommand, parsePort, parseWhole } from '../command-line/command.ts';
import type { UpOptions } from './up-context.ts';

export function upCommand(cli: Cli): Command {
  return createCommand({
    name: 'up',
    description: 'start Tandem here: Postgres and Redis (unless DATABASE_URL and REDIS_URL name yours), API and worker',
    example: 'tandem up --config ./tandem.config.ts --port 8080',
  })
    .addOption(
      new Option('--example', 'with the example shop: its history, its model, its config').conflicts([
        'servers',
        'config',
      ]),
    )
    .addOption(
      new Option(
        '--servers',
        'Postgres and Redis alone, with the schema: for a table, before there is a config',
      ).conflicts('config'),
    )
    .option('--config <path>', 'the config to adopt (default: tandem.config.ts in this folder)')
    .option('--force', 'adopt the config although tandem check finds errors in it')
    .option('--port <port>', 'where the API listens (PORT; default 8080)', parsePort)
    .option(
      '--api-processes <count>',
      'API processes that share the port, such as one for each core (API_PROCESSES; default 1)',
      parseWhole(1, MOST_API_PROCESSES),
    )
    .action(async (options: UpOptions) => {
      // Drivers and models take time to load, which commands that only call the API should not need.
      const { runUp } = await import('./run-up.ts');
      await runUp(cli, options);
    });
}
