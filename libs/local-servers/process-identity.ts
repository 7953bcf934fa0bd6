/**
 * Distinguishes a process from a later process with the same id. A process id alone proves nothing after a crash, a
 * reboot or a container's restart. Ending the wrong process would be worse than leaving one running.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, readlinkSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProcessIdentity {
  readonly pid: number;
  /**
   * An opaque text. It is equal for the same process, and different for a later process with the same id, even after a
   * reboot.
   */
  readonly startedAt: string;
  /** The words of the command line, joined by spaces. */
  readonly command: string;
  /** The working directory, if the system shows it. */
  readonly workingDirectory: string | undefined;
}

/**
 * Returns the process that has this id now; undefined if none runs. A process that ended but was not reaped does not
 * count.
 */
export function readProcess(pid: number): ProcessIdentity | undefined {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  return process.platform === 'linux' ? readLinuxProcess(pid) : readPosixProcess(pid);
}

/** The part of an identity that a file records, for a later start. */
export type ProcessRecord = Pick<ProcessIdentity, 'pid' | 'startedAt'>;

/** Returns the record in a file with its other fields; undefined if the file has none. */
export function readRecord(path: string): (ProcessRecord & Readonly<Record<string, unknown>>) | undefined {
  const record: Record<string, unknown> | undefined = readOrUndefined(() => JSON.parse(readFileSync(path, 'utf8')));
  const { pid, startedAt } = record ?? {};
  return typeof pid === 'number' && typeof startedAt === 'string' ? { ...record, pid, startedAt } : undefined;
}

/** Writes a file that appears completely or not at all, so that a reader never sees an incomplete one. */
export function writeWhole(path: string, text: string, mode?: number): void {
  writeFileSync(`${path}.new`, text, { mode });
  // The umask may have changed the mode.
  if (mode !== undefined) chmodSync(`${path}.new`, mode);
  renameSync(`${path}.new`, path);
}

/** Returns whether this same process still runs. */
export function isRunning(identity: ProcessRecord): boolean {
  return readProcess(identity.pid)?.startedAt === identity.startedAt;
}

/** Reads `/proc`, since slim container images have no `ps`. */
function readLinuxProcess(pid: number): ProcessIdentity | undefined {
  const stat = readOrUndefined(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  if (stat === undefined) return undefined;
  // The name in parentheses may itself contain spaces and parentheses, so fields are counted after the last
  // parenthesis.
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

/** Returns what `read` returns; undefined if it throws, as for a process that has ended. */
export function readOrUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/**
 * A step of ending a process: a signal, and the time to wait. The end is awaited, since the next server of the same
 * folder must not run beside it.
 */
export interface EndStep {
  readonly signal: NodeJS.Signals;
  readonly waitMs: number;
}

const POLL_MS = 10;

/**
 * Sends each step's signal in turn until the process has ended. Never signals a later process with the same id. Returns
 * false if the process outlived every step, or if this user may not signal it.
 */
export async function endProcess(target: ProcessRecord, steps: readonly EndStep[]): Promise<boolean> {
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

/** Returns true as soon as the condition holds; false if it did not hold within `waitMs`. */
export async function waitUntil(condition: () => boolean | Promise<boolean>, waitMs: number): Promise<boolean> {
  const deadline = performance.now() + waitMs;
  while (!(await condition())) {
    if (performance.now() >= deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}
