/** Starts Postgres and Redis once for all test runs of the program. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres } from '@tandem/local-servers/postgres';
import { startRedis } from '@tandem/local-servers/redis';

export interface Servers {
  /** The variables that `test/containers/choose-servers.ts` reads. */
  readonly variables: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

const quiet = () => {};

/** Uses the servers of TEST_DATABASE_URL and TEST_REDIS_URL if both are set. Otherwise starts embedded servers. */
export async function provideServers(env: NodeJS.ProcessEnv): Promise<Servers> {
  const { TEST_DATABASE_URL, TEST_REDIS_URL } = env;
  if (TEST_DATABASE_URL && TEST_REDIS_URL) {
    return { variables: { TEST_DATABASE_URL, TEST_REDIS_URL }, stop: async () => {} };
  }
  const folder = mkdtempSync(join(tmpdir(), 'tandem-mutants-'));
  const removeFolder = () => rmSync(folder, { recursive: true, force: true });
  // The account that runs Postgres must be able to enter the folder.
  chmodSync(folder, 0o755);
  const [postgres, redis] = await Promise.allSettled([
    startPostgres({ dataDir: join(folder, 'postgres'), log: quiet }),
    startRedis({ dataDir: join(folder, 'redis'), serverDir: join(tmpdir(), 'tandem-test-redis'), log: quiet }),
  ]);
  const stop = async () => {
    for (const one of [postgres, redis]) if (one.status === 'fulfilled') await one.value.stop();
    removeFolder();
  };
  if (postgres.status === 'fulfilled' && redis.status === 'fulfilled') {
    return { variables: { TEST_DATABASE_URL: postgres.value.url, TEST_REDIS_URL: redis.value.url }, stop };
  }
  await stop();
  throw postgres.status === 'rejected' ? postgres.reason : redis.status === 'rejected' && redis.reason;
}
