/**
 * Postgres and Redis for the tests: those named by TEST_DATABASE_URL and TEST_REDIS_URL, else servers started here and
 * stopped at the end. The run's first line says which. Migrations run once, into a template that each test file clones.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres } from '@tandem/local-servers/postgres';
import { startRedis } from '@tandem/local-servers/redis';
import { createTemplateDatabase } from '@tandem/testing/databases';
import type { TestProject } from 'vitest/node';

interface Server {
  readonly url: string;
  stop(): Promise<void>;
}

export default async function provideServices(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-test-'));
  // The account that Postgres runs under must be able to enter it.
  await chmod(folder, 0o755);
  const [postgres, redis] = await Promise.all([providePostgres(folder), provideRedis(folder)]);
  const template = await createTemplateDatabase(postgres.url);
  project.provide('databaseUrl', postgres.url);
  project.provide('redisUrl', redis.url);
  project.provide('templateDatabase', template.name);
  return async () => {
    await template.drop();
    await Promise.all([postgres.stop(), redis.stop()]);
    await rm(folder, { recursive: true, force: true });
  };
}

const quiet = () => {};

async function providePostgres(folder: string): Promise<Server> {
  const url = process.env.TEST_DATABASE_URL;
  process.stderr.write(`tests on Postgres: ${url ? 'TEST_DATABASE_URL' : 'embedded'}\n`);
  if (url) return { url, stop: async () => {} };
  return startPostgres({ dataDir: join(folder, 'postgres'), log: quiet });
}

async function provideRedis(folder: string): Promise<Server> {
  const url = process.env.TEST_REDIS_URL;
  process.stderr.write(`tests on Redis: ${url ? 'TEST_REDIS_URL' : 'a server of their own'}\n`);
  if (url) return { url, stop: async () => {} };
  return startRedis({ dataDir: join(folder, 'redis'), serverDir: join(tmpdir(), 'tandem-test-redis'), log: quiet });
}
