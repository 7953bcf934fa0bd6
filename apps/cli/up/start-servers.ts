/** Starts the stores: uses those of the environment, or else runs servers on this machine. */
import { join } from 'node:path';
import { given } from '@tandem/commands/command';
import { givenDatabaseUrls, givenRedisUrl } from '@tandem/commands/environment';
import { CommandFailure } from '@tandem/commands/failure';
import type { Finding } from '@tandem/commands/output/finding';
import { maskUrl } from '@tandem/config/environment/environment';
import { startPostgres } from '@tandem/local-servers/postgres';
import { startRedis } from '@tandem/local-servers/redis';
import type { LocalServer } from '@tandem/local-servers/server-process';
import { type Started, type Supervised, supervise } from '@tandem/timing/supervise';
import { examinePostgres, examineRedis } from '../doctor/examine-stores.ts';
import { killGroup } from './node-process.ts';
import type { Say, UpContext } from './up-context.ts';

export type Stores = Awaited<ReturnType<typeof startServers>>;

type StartServer = (port: number | undefined) => Promise<LocalServer>;

/**
 * Starts both servers at once, because each first start takes seconds. The takedown ends each started server, even if
 * the other fails.
 */
export async function startServers(context: UpContext) {
  const { cli, stateDir, say } = context;
  const [given, givenRedis] = [givenDatabaseUrls(cli), givenRedisUrl(cli)];
  const givenDatabase = given?.url;
  const folder = (name: string) => join(stateDir.path, name);
  const start = {
    postgres: withLog(startPostgres, 'postgres', folder, say),
    redis: withLog(startRedis, 'redis', folder, say),
  };
  const [database, redis] = await Promise.allSettled([
    givenDatabase
      ? useGiven('postgres', givenDatabase, say, () => examinePostgres(givenDatabase, cli.now))
      : keepServer(context, 'postgres', start.postgres),
    givenRedis
      ? useGiven('redis', givenRedis, say, () => examineRedis(givenRedis, cli.env.QUEUE_REDIS_URL || givenRedis))
      : keepServer(context, 'redis', start.redis),
  ]);
  if (database.status === 'rejected') throw database.reason;
  if (redis.status === 'rejected') throw redis.reason;
  const [databaseUrl, redisUrl] = [database.value, redis.value];
  return {
    databaseUrl,
    /** The same database for feature statements, with the login of the environment or else that of databaseUrl. */
    featuresUrl: given?.featuresUrl ?? databaseUrl,
    redisUrl,
    /** The servers that this command started. */
    local: { databaseUrl: givenDatabase ? null : databaseUrl, redisUrl: givenRedis ? null : redisUrl },
  };
}

function withLog(
  startServer: typeof startPostgres | typeof startRedis,
  name: string,
  folder: (name: string) => string,
  say: Say,
): StartServer {
  const log = (line: string) => say(name, line);
  return (port) => startServer({ dataDir: folder(name), log, ...given({ port }) });
}

/** Checks a server of the environment before anything uses it. */
async function useGiven(name: string, url: string, say: Say, examine: () => Promise<Finding[]>): Promise<string> {
  const wrong = (await examine()).find(({ level }) => level === 'error');
  if (wrong !== undefined) throw new CommandFailure(`${wrong.subject}: ${wrong.text}`, { remedy: wrong.remedy });
  say(name, `${maskUrl(url)} (from the environment)`);
  return url;
}

/**
 * Starts a server and returns its address. If it dies, restarts it on the same port, because others use the address.
 */
async function keepServer(context: UpContext, name: string, start: StartServer): Promise<string> {
  const { say } = context;
  let address: { url: string; port: number } | undefined;
  const server: Supervised = await supervise({
    ...context.supervision,
    name,
    say: (line) => say(name, line),
    start: async () => {
      const started = await start(address?.port);
      address = started;
      return asStarted(started);
    },
  });
  context.keep(server);
  say(name, `running on 127.0.0.1:${address?.port}`);
  return address?.url ?? '';
}

function asStarted({ pid, exited, stop }: LocalServer): Started {
  return { pid, exited, stop, kill: () => killGroup(pid), lastOutput: () => '' };
}
