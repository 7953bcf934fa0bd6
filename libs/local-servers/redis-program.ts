/** Finds a Redis or Valkey server program that is new enough, and reports why others are skipped. */
import { accessSync, constants, readdirSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { runCommand } from './run-command.ts';

export interface RedisProgram {
  readonly path: string;
  /** The name that it must be called by, since in Debian's redis-tools one file contains several programs. */
  readonly argv0: string;
  /** Folders of its libraries, if they are not those of the system. */
  readonly libraryPath: string | undefined;
  /** The version, such as `Redis 7.0.15` or `Valkey 8.1.1`. */
  readonly version: string;
}

/** The oldest major version with functions, sharded pub/sub and listpacks, which the queue and the online store use. */
export const OLDEST_MAJOR = 7;

/** The path of an unpacked server below its folder. */
export const UNPACKED = 'root';

const candidates = [
  { file: 'redis-server', argv0: 'redis-server' },
  { file: 'valkey-server', argv0: 'valkey-server' },
  // On Debian and Ubuntu, redis-server is a link to this file, in a package that also installs a system service.
  { file: 'redis-check-rdb', argv0: 'redis-server' },
];

/** Returns the first program on the path that runs and is new enough. */
export async function findOnPath(
  path: string | undefined,
  log: (line: string) => void,
): Promise<RedisProgram | undefined> {
  const folders = (path ?? '').split(delimiter).filter((folder) => folder !== '');
  return findIn(folders, undefined, log);
}

/** Returns the program that an earlier start unpacked into this folder. */
export async function findUnpacked(serverDir: string, log: (line: string) => void): Promise<RedisProgram | undefined> {
  const root = join(serverDir, UNPACKED);
  return findIn([join(root, 'usr/bin'), join(root, 'bin')], findLibraryFolders(root).join(delimiter), log);
}

async function findIn(
  folders: readonly string[],
  libraryPath: string | undefined,
  log: (line: string) => void,
): Promise<RedisProgram | undefined> {
  for (const { file, argv0 } of candidates) {
    for (const folder of folders) {
      const path = join(folder, file);
      if (!isExecutable(path)) continue;
      const said = await readVersion(path, argv0, libraryPath);
      if (said.version !== undefined) return { path, argv0, libraryPath, version: said.version };
      if (file !== 'redis-check-rdb') log(`skipping ${path}: ${said.problem}`);
    }
  }
  return undefined;
}

async function readVersion(
  path: string,
  argv0: string,
  libraryPath: string | undefined,
): Promise<{ version?: string; problem: string }> {
  const env = serverEnvironment(libraryPath);
  const { stdout, stderr } = await runCommand(path, ['--version'], { argv0, env, timeoutMs: 10_000 });
  const match = /(Redis|Valkey) server v=((\d+)\.[\d.]+)/.exec(stdout);
  if (match === null) return { problem: `it does not run (${(stderr || stdout).trim().split('\n')[0]})` };
  const version = `${match[1]} ${match[2]}`;
  return Number(match[3]) >= OLDEST_MAJOR
    ? { version, problem: '' }
    : { problem: `${version} is older than ${OLDEST_MAJOR}.0` };
}

export function serverEnvironment(libraryPath: string | undefined): NodeJS.ProcessEnv {
  const base = { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' };
  return libraryPath === undefined ? base : { ...base, LD_LIBRARY_PATH: libraryPath };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function findLibraryFolders(root: string): string[] {
  try {
    const entries = readdirSync(root, { recursive: true, withFileTypes: true });
    return [...new Set(entries.filter(({ name }) => /\.so(\.|$)/.test(name)).map(({ parentPath }) => parentPath))];
  } catch {
    return [];
  }
}
