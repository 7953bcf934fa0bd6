/** The config's turn in `tandem up`. */
import { resolve } from 'node:path';
import { createPool } from '@tandem/offline-store/database';
import { type AdoptedConfig, adoptConfig, renderAdoption } from '../adoption/adopt-config.ts';
import { modelMemoryMb } from '../adoption/model-memory.ts';
import { EXAMPLE_CONFIG } from './example.ts';
import type { UpContext, UpOptions } from './up-context.ts';

export async function adoptStep(context: UpContext, databaseUrl: string, options: UpOptions): Promise<AdoptedConfig> {
  const { cli, say } = context;
  const path = resolve(cli.cwd, options.config ?? (options.example ? EXAMPLE_CONFIG : 'tandem.config.ts'));
  const pool = createPool({ url: databaseUrl, max: 2, applicationName: 'tandem-up' });
  try {
    const adopted = await adoptConfig(pool, path, modelMemoryMb(cli), {
      say: (line) => say('config', line),
      cwd: cli.cwd,
    });
    for (const line of renderAdoption(adopted, cli.cwd)) say('config', line);
    return adopted;
  } finally {
    await pool.end();
  }
}
