/** The ways to a Redis server, in order; each that fails leaves its reason for the error at the end. */
import { LocalServerError } from './local-server-error.ts';
import { findDocker, launchProgram, type RedisLaunch } from './redis-launch.ts';
import { installRedis, unpackRedis } from './redis-packages.ts';
import { findOnPath, findUnpacked, OLDEST_MAJOR } from './redis-program.ts';

export interface RedisSearch {
  /** Where a server that is not on the path is unpacked, and found again at the next start. */
  readonly serverDir: string;
  /** The folder of the data, which a container mounts. */
  readonly folder: string;
  /** Where programs are searched, as in the variable PATH. */
  readonly path: string | undefined;
  readonly asRoot: boolean;
  readonly log: (line: string) => void;
}

/** On the path, unpacked before, from the package manager, in Docker. Throws `no_program` with all reasons and remedies. */
export async function findRedis(search: RedisSearch): Promise<RedisLaunch> {
  const { serverDir, folder, log } = search;
  const present = (await findOnPath(search)) ?? (await findUnpacked(serverDir, log));
  if (present !== undefined) return launchProgram(present);
  const reasons = await installRedis(search);
  const installed = reasons.length === 0 ? await findOnPath(search) : undefined;
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
  `Any of these helps: put redis-server or valkey-server ${OLDEST_MAJOR}.0 or newer on the PATH (Debian, Ubuntu: apt-get install redis-tools;`,
  'Fedora: dnf install valkey; macOS: brew install redis); start Docker; or set REDIS_URL to a Redis of your own.',
].join('\n');
