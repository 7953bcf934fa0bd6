/** Finds a Redis server in several ways, in order. The final error has the reason of each failure. */

import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { LocalServerError } from './local-server-error.ts';
import { findDocker, launchProgram, type RedisLaunch } from './redis-launch.ts';
import { findOnPath, findUnpacked, OLDEST_MAJOR, UNPACKED } from './redis-program.ts';
import { type CommandResult, runCommand } from './run-command.ts';

interface RedisSearch {
  /** The folder in which a server is unpacked. The next start finds it there. */
  readonly serverDir: string;
  /** The folder of the data, which a container mounts. */
  readonly folder: string;
  /** Folders of programs, in the form of the variable PATH. */
  readonly path: string | undefined;
  readonly asRoot: boolean;
  readonly log: (line: string) => void;
}

/**
 * Finds a server: on the path, unpacked before, from the package manager, or in Docker. Throws `no_program` with all
 * reasons and remedies.
 */
export async function findRedis(search: RedisSearch): Promise<RedisLaunch> {
  const { serverDir, folder, path, log } = search;
  const present = (await findOnPath(path, log)) ?? (await findUnpacked(serverDir, log));
  if (present !== undefined) return launchProgram(present);
  const reasons = await installRedis(search);
  const installed = reasons.length === 0 ? await findOnPath(path, log) : undefined;
  if (installed !== undefined) return launchProgram(installed);
  reasons.push((await unpackRedis(serverDir, log)) ?? 'the unpacked server does not run');
  const unpacked = await findUnpacked(serverDir, log);
  if (unpacked !== undefined) return launchProgram(unpacked);
  const docker = await findDocker(folder);
  if (docker !== undefined) return docker;
  reasons.push('Docker does not answer');
  throw new LocalServerError('no_program', `There is no Redis server here (${reasons.join('; ')}).`, remedy);
}

const remedy = [
  `Do one of these: put redis-server or valkey-server ${OLDEST_MAJOR}.0 or newer on the PATH (Debian, Ubuntu: apt-get install redis-tools;`,
  'Fedora: dnf install valkey; macOS: brew install redis); start Docker; or set REDIS_URL to your own Redis.',
].join('\n');

/**
 * A package manager that can provide a Redis server. The server is installed if this user may install packages;
 * otherwise, on Debian and its derivatives, it is downloaded and unpacked into a folder of the project without root. No
 * system service is started.
 */
interface PackageManager {
  readonly program: string;
  readonly needsRoot: boolean;
  /** Commands that are tried in order until one succeeds. */
  readonly commands: readonly (readonly string[])[];
}

const debian = ['-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=120', 'install', 'redis-tools'];
const managers: readonly PackageManager[] = [
  // redis-tools contains the server program. The package redis-server would only add a system service, and start it.
  { program: 'apt-get', needsRoot: true, commands: [debian, ['update'], debian] },
  {
    program: 'dnf',
    needsRoot: true,
    commands: [
      ['-y', 'install', 'valkey'],
      ['-y', 'install', 'redis'],
    ],
  },
  {
    program: 'apk',
    needsRoot: true,
    commands: [
      ['add', '--no-cache', 'valkey'],
      ['add', '--no-cache', 'redis'],
    ],
  },
  { program: 'brew', needsRoot: false, commands: [['install', 'redis']] },
];

/**
 * Announces and installs a server with the first package manager that this user may use. Resolves to the reasons of
 * failures; with an empty list, there may now be a server.
 */
async function installRedis({ asRoot, log }: Pick<RedisSearch, 'asRoot' | 'log'>): Promise<string[]> {
  const reasons: string[] = [];
  for (const { program, needsRoot, commands } of managers) {
    if (needsRoot !== asRoot) continue;
    if ((await runCommand(program, ['--version'])).code !== 0) continue;
    const failure = await runFirstThatWorks(program, commands, log);
    if (failure === undefined) return [];
    reasons.push(failure);
  }
  return reasons.length > 0
    ? reasons
    : [asRoot ? 'no known package manager' : 'no root rights for the package manager'];
}

async function runFirstThatWorks(
  program: string,
  commands: PackageManager['commands'],
  log: (line: string) => void,
): Promise<string | undefined> {
  let last: CommandResult | undefined;
  for (const args of commands) {
    log(`there is no Redis on this machine: ${program} ${args.join(' ')}`);
    last = await runCommand(program, args, { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } });
    if (last.code === 0 && !args.includes('update')) return undefined;
  }
  return describe(program, last);
}

/**
 * Installs Redis on Debian without root: asks apt which packages a server needs in addition to the installed ones,
 * downloads them, and unpacks them below `serverDir`. Resolves to the reason of a failure, or undefined.
 */
async function unpackRedis(serverDir: string, log: (line: string) => void): Promise<string | undefined> {
  if ((await runCommand('dpkg-deb', ['--version'])).code !== 0) return 'no dpkg-deb: not a Debian system';
  const [packages, unpacked] = [join(serverDir, 'packages'), join(serverDir, `${UNPACKED}.new`)];
  for (const folder of [packages, unpacked]) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
  }
  log(`there is no Redis on this machine: unpacking one, with its libraries, into ${join(serverDir, UNPACKED)}`);
  const failure = (await download(packages, [])) && (await downloadWithOwnLists(packages, serverDir, log));
  if (failure !== undefined) return failure;
  for (const file of readdirSync(packages)) {
    const result = await runCommand('dpkg-deb', ['-x', join(packages, file), unpacked]);
    if (result.code !== 0) return describe(`dpkg-deb -x ${file}`, result);
  }
  rmSync(join(serverDir, UNPACKED), { recursive: true, force: true });
  // The folder is renamed when complete. After a kill before that, the next start deletes the remains.
  renameSync(unpacked, join(serverDir, UNPACKED));
  rmSync(packages, { recursive: true, force: true });
  return undefined;
}

/**
 * Downloads with package lists below `serverDir`, since the machine's lists are missing or out of date (slim images
 * have none).
 */
async function downloadWithOwnLists(
  packages: string,
  serverDir: string,
  log: (line: string) => void,
): Promise<string | undefined> {
  const [lists, cache] = [join(serverDir, 'apt/lists'), join(serverDir, 'apt/cache')];
  for (const folder of [lists, cache]) mkdirSync(join(folder, 'partial'), { recursive: true });
  const options = ['-o', `Dir::State::Lists=${lists}`, '-o', `Dir::Cache=${cache}`];
  log("the system's package lists are missing or out of date: fetching lists into .tandem");
  const updated = await runCommand('apt-get', [...options, 'update']);
  // Without a network, the command still succeeds, with the reason as a warning.
  const isUpdated = updated.code === 0 && !/Failed to fetch/.test(updated.stderr);
  const failure = isUpdated ? await download(packages, options) : describe('apt-get update', updated);
  rmSync(join(serverDir, 'apt'), { recursive: true, force: true });
  return failure;
}

async function download(packages: string, options: readonly string[]): Promise<string | undefined> {
  const simulate = [...options, '-s', '--no-install-recommends', 'install', 'redis-server'];
  const simulated = await runCommand('apt-get', simulate, { env: { ...process.env, LC_ALL: 'C' } });
  if (simulated.code !== 0) return describe('apt-get -s install redis-server', simulated);
  const names = [...simulated.stdout.matchAll(/^Inst (\S+)/gm)].map(([, name = '']) => name);
  const wanted = [...new Set([...names, 'redis-server', 'redis-tools'])];
  const downloaded = await runCommand('apt-get', [...options, 'download', ...wanted], { cwd: packages });
  return downloaded.code === 0 ? undefined : describe(`apt-get download ${wanted.join(' ')}`, downloaded);
}

function describe(command: string, result: CommandResult | undefined): string {
  const said = (result?.stderr || result?.stdout || '').trim().split('\n').slice(-3).join(' ');
  return `${command} failed: ${said}`;
}
