/** `tandem up`: starts everything on this machine. */

import { Option } from '@commander-js/extra-typings';
import { type Cli, createCommand, type OptionsOf, parsePort, parseWhole } from '@tandem/commands/command';
import { MOST_API_PROCESSES } from '@tandem/config/environment/environment-sections';

function createUpCommand() {
  return createCommand({
    name: 'up',
    description:
      'start Tandem here: Postgres and Redis (unless DATABASE_URL and REDIS_URL are set), an API and a worker',
    example: 'tandem up --config ./tandem.config.ts --port 8080',
  })
    .addOption(
      new Option('--example', 'start the example shop with its history, model and config').conflicts([
        'servers',
        'config',
      ]),
    )
    .addOption(
      new Option(
        '--servers',
        'start only Postgres and Redis with the schema, to load a table before you have a config',
      ).conflicts('config'),
    )
    .option('--config <path>', 'the config to adopt (default: tandem.config.ts in this folder)')
    .option('--force', 'adopt the config even if tandem check finds errors')
    .option('--port <port>', 'the port of the API (PORT; default 8080)', parsePort)
    .option(
      '--api-processes <count>',
      'the number of API processes that share the port, such as one for each core (API_PROCESSES; default 1)',
      parseWhole(1, MOST_API_PROCESSES),
    );
}

export type UpOptions = OptionsOf<typeof createUpCommand>;

export function upCommand(cli: Cli) {
  return createUpCommand().action(async (options) => {
    // Drivers and models take time to load, and commands that only call the API should not wait for that.
    const { runUp } = await import('./run-up.ts');
    await runUp(cli, options);
  });
}
