/** The config's turn in `tandem up`. */
import { resolve } from 'node:path';
import { type AdoptedConfig, adoptConfig, renderAdoption } from '../adopt/adopt-config.ts';
import { withDatabases } from '../command-line/databases.ts';
import { type DatabaseUrls, modelMemoryMb } from '../command-line/environment.ts';
import { EXAMPLE_CONFIG } from './example.ts';
import type { UpContext, UpOptions } from './up-context.ts';

export async function adoptStep(context: UpContext, urls: DatabaseUrls, options: UpOptions): Promise<AdoptedConfig> {
  const { cli, say } = context;
  const path = resolve(cli.cwd, options.config ?? (options.example ? EXAMPLE_CONFIG : 'tandem.config.ts'));
  return withDatabases(urls, { applicationName: 'tandem-up' }, async (databases) => {
    const adopted = await adoptConfig(databases, path, {
      memoryLimitMb: modelMemoryMb(cli),
      force: options.force === true,
      command: 'tandem up',
      say: (line) => say('config', line),
      cwd: cli.cwd,
    });
    for (const line of renderAdoption(adopted, cli.cwd)) say('config', line);
    return adopted;
  });
}
