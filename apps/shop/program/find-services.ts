/**
 * Finds the addresses of the shop's database and of Tandem: in the environment, or else those of the `npm start` that
 * runs in this folder.
 */
import { findRunning } from '@tandem/local-servers/running-file';

export function findServices(env: NodeJS.ProcessEnv, folder: string) {
  const running = findRunning(folder);
  const databaseUrl = env.DATABASE_URL ?? running?.databaseUrl;
  const apiUrl = env.TANDEM_URL ?? running?.apiUrl;
  // The key to send is set if the API requires keys.
  const apiKey = env.TANDEM_API_KEY;
  if (databaseUrl && apiUrl) return { databaseUrl, apiUrl, ...(apiKey ? { apiKey } : {}) };
  throw new Error(
    'no service runs here: start it with `npm start` in another terminal, or set DATABASE_URL and TANDEM_URL',
  );
}
