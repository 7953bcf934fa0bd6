/**
 * Starts Postgres and Redis for the tests, as `containers/choose-servers.ts` chooses: the servers of TEST_DATABASE_URL
 * and TEST_REDIS_URL, a Postgres of TEST_POSTGRES_BIN, containers, or embedded servers. They start once per run for all
 * projects, and stop at its end. Migrations run once, into a template that each test file clones.
 */
import { chmod, mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres } from '@tandem/local-servers/postgres';
import { startRedis } from '@tandem/local-servers/redis';
import { createTemplateDatabase } from '@tandem/testing/databases';
import type { TestProject } from 'vitest/node';
import { chooseServers, type Place, type PostgresPlace } from './containers/choose-servers.ts';
import { askEngine } from './containers/engine.ts';
import { startPostgresContainer, startRedisContainer } from './containers/start-containers.ts';

interface Server {
  readonly url: string;
  stop(): Promise<void>;
}

interface Services {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly templateDatabase: string;
  stop(): Promise<void>;
}

/**
 * The state that this process shares between projects: the number of users of the services, and the running services.
 */
interface Shared {
  users: number;
  services: Promise<Services> | null;
}

// Vitest loads this module again for each project, so the projects share state on the process.
const SHARED = Symbol.for('tandem.test-services');
const holder = globalThis as typeof globalThis & { [SHARED]?: Shared };
holder[SHARED] ??= { users: 0, services: null };
const shared: Shared = holder[SHARED];

export default async function provideServices(project: TestProject): Promise<() => Promise<void>> {
  shared.users++;
  shared.services ??= startServices();
  const services = await shared.services;
  project.provide('databaseUrl', services.databaseUrl);
  project.provide('redisUrl', services.redisUrl);
  project.provide('templateDatabase', services.templateDatabase);
  return async () => {
    if (--shared.users > 0) return;
    shared.services = null;
    await services.stop();
  };
}

/** A file system in memory on Linux, which is several times larger than the data of a run. */
const MEMORY_FOLDER = '/dev/shm';
const MEMORY_BYTES = 4 * 2 ** 30;

/**
 * Makes the folder for data, in memory if possible. The service requires a durable Postgres, and syncs to disk are
 * slow.
 */
async function scratchFolder(): Promise<string> {
  const found = await statfs(MEMORY_FOLDER).catch(() => null);
  return found && found.bavail * found.bsize > MEMORY_BYTES ? MEMORY_FOLDER : tmpdir();
}

async function startServices(): Promise<Services> {
  const choice = await chooseServers(process.env, askEngine);
  const folder = await mkdtemp(join(await scratchFolder(), 'tandem-test-'));
  // The account that runs Postgres must be able to enter the folder.
  await chmod(folder, 0o755);
  const [postgres, redis] = await startBoth(choice.postgres, choice.redis, folder);
  const template = await createTemplateDatabase(postgres.url);
  return {
    databaseUrl: postgres.url,
    redisUrl: redis.url,
    templateDatabase: template.name,
    async stop() {
      await template.drop();
      await Promise.all([postgres.stop(), redis.stop()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const quiet = () => {};

/** Starts both servers. If one does not start, stops the other. */
async function startBoth(postgres: PostgresPlace, redis: Place, folder: string): Promise<[Server, Server]> {
  const [first, second] = await Promise.allSettled([startPostgresAt(postgres, folder), startRedisAt(redis, folder)]);
  if (first.status === 'fulfilled' && second.status === 'fulfilled') return [first.value, second.value];
  const reasons: unknown[] = [];
  for (const one of [first, second]) {
    if (one.status === 'fulfilled') await one.value.stop();
    else reasons.push(one.reason);
  }
  await rm(folder, { recursive: true, force: true });
  throw reasons[0];
}

async function startPostgresAt(place: PostgresPlace, folder: string): Promise<Server> {
  switch (place.kind) {
    case 'given':
      return { url: place.url, stop: async () => {} };
    case 'container':
      return startPostgresContainer(place.image);
    case 'installed':
      return startPostgres({ dataDir: join(folder, 'postgres'), binDir: place.binDir, log: quiet });
    case 'embedded':
      return startPostgres({ dataDir: join(folder, 'postgres'), log: quiet });
  }
}

async function startRedisAt(place: Place, folder: string): Promise<Server> {
  switch (place.kind) {
    case 'given':
      return { url: place.url, stop: async () => {} };
    case 'container':
      return startRedisContainer(place.image);
    case 'embedded': {
      const serverDir = join(tmpdir(), 'tandem-test-redis');
      return startRedis({ dataDir: join(folder, 'redis'), serverDir, log: quiet });
    }
  }
}
