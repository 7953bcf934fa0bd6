/**
 * Distinguishes a process from a later process with the same id. A process id alone proves nothing after a crash, a reboot or
 * a container's restart, and ending the wrong process would be worse than leaving one behind.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProcessIdentity {
  readonly pid: number;
  /** Opaque: equal for the same process, different for any later one with its number, also after a reboot. */
  readonly startedAt: string;
  /** The command line, its words joined by spaces. */
  readonly command: string;
  /** The working directory, where the system lets us see it. */
  readonly workingDirectory: string | undefined;
}

/** Returns the process that has this id now; undefined if none runs. A process that ended and was not reaped does not run. */
export function readProcess(pid: number): ProcessIdentity | undefined {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  return process.platform === 'linux' ? readLinuxProcess(pid) : readPosixProcess(pid);
}

/** Whether this same process still runs. */
export function isRunning(identity: Pick<ProcessIdentity, 'pid' | 'startedAt'>): boolean {
  return readProcess(identity.pid)?.startedAt === identity.startedAt;
}

/** `/proc` rather than `ps`: slim container images have no `ps`. */
function readLinuxProcess(pid: number): ProcessIdentity | undefined {
  const stat = readOrUndefined(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  if (stat === undefined) return undefined;
  // The name, in parentheses, may hold spaces and parentheses itself: count fields after the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, ticks] = [fields[0], fields[19]];
  if (state === 'Z' || state === 'X') return undefined;
  const boot = readOrUndefined(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()) ?? '';
  const command = readOrUndefined(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')) ?? '';
  return {
    pid,
    startedAt: `${boot}:${ticks}`,
    command: command.split('\0').join(' ').trim(),
    workingDirectory: readOrUndefined(() => readlinkSync(`/proc/${pid}/cwd`)),
  };
}

function readPosixProcess(pid: number): ProcessIdentity | undefined {
  const ask = (field: string) =>
    readOrUndefined(() =>
      execFileSync('ps', ['-o', `${field}=`, '-p', String(pid)], {
        encoding: 'utf8',
        env: { ...process.env, LC_ALL: 'C' },
      }),
    )?.trim();
  const startedAt = ask('lstart');
  if (!startedAt || ask('state')?.startsWith('Z')) return undefined;
  return { pid, startedAt, command: ask('command') ?? '', workingDirectory: undefined };
}

function readOrUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/**
 * Ends a process by politer signals first, and waits until it is really gone: the next server of the same folder must not
 * start beside it.
 */
export interface EndStep {
  readonly signal: NodeJS.Signals;
  readonly waitMs: number;
}

const POLL_MS = 10;

/**
 * Sends each step's signal in turn until the process has ended. Never touches a later process with the same number.
 * Returns false when it outlived every step, or when this user may not signal it.
 */
export async function endProcess(
  target: Pick<ProcessIdentity, 'pid' | 'startedAt'>,
  steps: readonly EndStep[],
): Promise<boolean> {
  for (const { signal, waitMs } of steps) {
    if (!isRunning(target)) return true;
    try {
      process.kill(target.pid, signal);
    } catch {
      return !isRunning(target);
    }
    if (await waitUntil(() => !isRunning(target), waitMs)) return true;
  }
  return !isRunning(target);
}

/** True as soon as the condition holds, false when it has not held for `waitMs`. */
export async function waitUntil(condition: () => boolean | Promise<boolean>, waitMs: number): Promise<boolean> {
  const deadline = performance.now() + waitMs;
  while (!(await condition())) {
    if (performance.now() >= deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}
