/** How a Redis is run, once something that can run it is found: as a program of this machine, or in a container. */
import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';
import { type RedisProgram, serverEnvironment } from './redis-program.ts';
import { runCommand } from './run-command.ts';
import type { ServerCommand } from './server-process.ts';

export interface RedisLaunch {
  /** For messages: `Redis 7.0.15 (/usr/bin/redis-server)`. */
  readonly description: string;
  /** Returns the server's own settings; in a container they differ from those outside. */
  settings(port: number, folder: string): Pick<RedisSettings, 'port' | 'folder' | 'bind'>;
  command(port: number, settingsFile: string): Pick<ServerCommand, 'program' | 'args' | 'argv0' | 'env'>;
  /** Removes files that would prevent a start and belong to no process of this service. */
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

/** Undefined where there is no Docker, or its daemon does not answer. */
export async function findDocker(folder: string): Promise<RedisLaunch | undefined> {
  const answer = await runCommand('docker', ['version', '--format', '{{.Server.Version}}'], { timeoutMs: 10_000 });
  return answer.code === 0 ? launchContainer(folder, answer.stdout.trim()) : undefined;
}

/**
 * `docker run` in the foreground passes our signals on and ends with its container, so it is watched and ended like the
 * server itself. The container has a name made from its folder: a container that lost its `docker run` is found by this
 * name.
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

/** The configuration of the local Redis: durable within a second, closed to everyone without the password, never evicting. */
interface RedisSettings {
  readonly port: number;
  readonly password: string;
  /** The folder of the append-only file. */
  readonly folder: string;
  /** The address it listens on. */
  readonly bind: string;
}

/** The text of a `redis.conf`. It holds the password: keep it at mode 0600. */
export function renderRedisSettings({ port, password, folder, bind }: RedisSettings): string {
  const settings = [
    ['bind', bind],
    ['port', String(port)],
    ['protected-mode', 'yes'],
    ['requirepass', password],
    ['dir', quote(folder)],
    ['daemonize', 'no'],
    // The append-only file alone: a snapshot beside it would fork the whole server every few minutes for nothing.
    ['appendonly', 'yes'],
    ['appendfsync', 'everysec'],
    ['save', '""'],
    // Queues lose jobs under any other policy.
    ['maxmemory-policy', 'noeviction'],
    // Leaves the command line unchanged, so that a leftover server can be recognised.
    ['set-proc-title', 'no'],
    ['always-show-logo', 'no'],
  ];
  return settings.map(([name, value]) => `${name} ${value}\n`).join('');
}

function quote(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
