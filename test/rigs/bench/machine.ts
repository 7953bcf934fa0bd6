/** Describes the machine and the commit that were measured. */
import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { Redis } from 'ioredis';
import type { BenchServers } from './service.ts';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryMb: number;
  readonly node: string;
  readonly postgres: string;
  readonly redis: string;
  /** The load average of the minute before the first measurement: other work on the machine. */
  readonly loadAtStart: number;
}

export async function describeMachine({ env, pool }: BenchServers, loadAtStart: number): Promise<Machine> {
  const { rows } = await pool.query<{ server_version: string }>('show server_version');
  const redis = new Redis(env.REDIS_URL);
  const info = await redis.info('server').finally(() => redis.disconnect());
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryMb: Math.round(totalmem() / 2 ** 20),
    node: process.version,
    postgres: rows[0]?.server_version ?? 'unknown',
    redis: /^(?:valkey|redis)_version:(\S+)/m.exec(info)?.[1] ?? 'unknown',
    loadAtStart,
  };
}

/** Returns the load average of the last minute. */
export function currentLoad(): number {
  return Math.round((loadavg()[0] ?? 0) * 100) / 100;
}

/** Returns the commit, with a `+` if files differ from it, or null outside a repository. */
export function currentCommit(folder: string): string | null {
  try {
    const git = (...args: string[]) =>
      execFileSync('git', ['-C', folder, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    return git('rev-parse', 'HEAD') + (git('status', '--porcelain') === '' ? '' : '+');
  } catch {
    return null;
  }
}
