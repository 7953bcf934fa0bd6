/** The example shop's history. The shop is an application of its own, so it loads its data itself, as a program. */
import { fileURLToPath } from 'node:url';
import { runCommand } from '@tandem/local-servers/run-command';
import { CommandFailure } from '../command-line/failure.ts';
import type { UpContext } from './up-context.ts';

const LOADER = fileURLToPath(new URL('../../shop/load-history-main.ts', import.meta.url));
export const EXAMPLE_CONFIG = fileURLToPath(new URL('../../shop/tandem.config.ts', import.meta.url));
export const EXAMPLE_TO_TRY = { predictor: 'repurchase', userId: '42', eventType: 'order.placed' };

export async function loadExample({ cli, say }: UpContext, databaseUrl: string): Promise<void> {
  const env = { ...cli.env, DATABASE_URL: databaseUrl };
  const { code, stdout, stderr } = await runCommand(process.execPath, [LOADER], { env });
  if (code !== 0) throw new CommandFailure(`the example's history was not loaded: ${(stderr || stdout).trim()}`);
  say('example', stdout.trim());
}
