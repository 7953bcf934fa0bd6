/** The config's turn in `tandem up`. */
import { join } from 'node:path';
import { createPool } from '@tandem/offline-store/database';
import { adoptConfig, renderAdoption } from '../adoption/adopt-config.ts';
import { EXAMPLE_CONFIG } from './example.ts';
import type { UpContext, UpOptions } from './up-context.ts';

/** The names of the predictors in force. */
export async function adoptStep(
  context: UpContext,
  databaseUrl: string,
  options: UpOptions,
): Promise<readonly string[]> {
  const { cli, say } = context;
  const path = options.config ?? (options.example ? EXAMPLE_CONFIG : join(cli.cwd, 'tandem.config.ts'));
  const pool = createPool({ url: databaseUrl, max: 2, applicationName: 'tandem-up' });
  try {
    const adopted = await adoptConfig(pool, path);
    for (const line of renderAdoption(adopted, cli.cwd)) say('config', line);
    return adopted.predictors.map(({ predictor }) => predictor);
  } finally {
    await pool.end();
  }
}
