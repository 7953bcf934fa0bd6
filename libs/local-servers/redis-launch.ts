/** Describes how a Redis server is run: as a program of this machine, or in a container. */
import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';
import { type RedisProgram, serverEnvironment } from './redis-program.ts';
import { runCommand } from './run-command.ts';
import type { ServerCommand } from './server-process.ts';

export interface RedisLaunch {
  /** The text for messages, such as `Redis 7.0.15 (/usr/bin/redis-server)`. */
  readonly description: string;
  /** Returns the server's settings. In a container, they differ from those outside. */
  settings(port: number, folder: string): Pick<RedisSettings, 'port' | 'folder' | 'bind'>;
  command(port: number, settingsFile: string): Pick<ServerCommand, 'program' | 'args' | 'argv0' | 'env'>;
  /** Removes leftover files that would prevent a start. */
  clear(folder: string): Promise<void>;
}

export function launchProgram({ path, argv0, libraryPath, version }: RedisProgram): RedisLaunch {
  return {
    description: `${version} (${path})`,
    settings: (port, folder) => ({ port, folder, bind: '127.0.0.1' }),
    command: (_port, settingsFile) => ({
      program: path,
      argv0,
      args: [settingsFile],
      env: serverEnvironment(libraryPath),
    }),
    clear: async () => undefined,
  };
}

const IMAGE = 'redis:8-alpine';
const INNER_PORT = 6379;

/** Returns the launch in Docker; undefined if there is no Docker, or if its daemon does not answer. */
export async function findDocker(folder: string): Promise<RedisLaunch | undefined> {
  const answer = await runCommand('docker', ['version', '--format', '{{.Server.Version}}'], { timeoutMs: 10_000 });
  return answer.code === 0 ? launchContainer(folder, answer.stdout.trim()) : undefined;
}

/**
 * Returns the launch in Docker. `docker run` in the foreground forwards signals and ends with its container, so it is
 * watched and ended like the server itself. The name of the container is derived from the folder, so that a container
 * without its `docker run` can be found.
 */
function launchContainer(folder: string, dockerVersion: string): RedisLaunch {
  const name = `tandem-redis-${createHash('sha256').update(folder).digest('hex').slice(0, 12)}`;
  const user = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
  return {
    description: `${IMAGE} in Docker ${dockerVersion}`,
    settings: () => ({ port: INNER_PORT, folder: '/data', bind: '0.0.0.0' }),
    command: (port, settingsFile) => ({
      program: 'docker',
      args: [
        ...['run', '--rm', '--name', name, '--user', user, '--publish', `127.0.0.1:${port}:${INNER_PORT}`],
        ...['--mount', `type=bind,source=${folder},target=/data`],
        ...[IMAGE, 'redis-server', join('/data', basename(settingsFile))],
      ],
      env: process.env,
    }),
    clear: async () => void (await runCommand('docker', ['rm', '--force', name])),
  };
}

/**
 * The configuration of the local Redis: writes are durable within a second, a password is required, and nothing is
 * evicted.
 */
interface RedisSettings {
  readonly port: number;
  readonly password: string;
  /** The folder of the append-only file. */
  readonly folder: string;
  /** The address that the server listens on. */
  readonly bind: string;
}

/** Returns the text of a `redis.conf`. It contains the password, so the file needs mode 0600. */
export function renderRedisSettings({ port, password, folder, bind }: RedisSettings): string {
  const settings = [
    ['bind', bind],
    ['port', String(port)],
    ['protected-mode', 'yes'],
    ['requirepass', password],
    ['dir', quote(folder)],
    ['daemonize', 'no'],
    // Only the append-only file is used. Snapshots would fork the server every few minutes without a benefit.
    ['appendonly', 'yes'],
    ['appendfsync', 'everysec'],
    ['save', '""'],
    // With any other policy, queues lose jobs.
    ['maxmemory-policy', 'noeviction'],
    // Keeps the command line unchanged, so that a leftover server can be recognised.
    ['set-proc-title', 'no'],
    ['always-show-logo', 'no'],
  ];
  return settings.map(([name, value]) => `${name} ${value}\n`).join('');
}

function quote(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
