/**
 * Reads CPU time and memory of another process from the system. A busy machine extends its wall time, but not its CPU
 * time.
 */

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';

/** A clock tick of `/proc` in ms: 100 per second on every platform that Node supports. */
const TICK_MS = 10;
/**
 * Positions of the fields user time and system time, counted after the program's name, which may contain blanks
 * (proc_pid_stat(5)).
 */
const USER_TIME = 11;
const SYSTEM_TIME = 12;

/** Returns user and system time of all threads in ms, to about 10 ms; null if the system does not report it. */
export async function readCpuMs(pid: number): Promise<number | null> {
  try {
    if (process.platform === 'linux') return ofProcStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
    const { stdout } = await promisify(execFile)('ps', ['-o', 'time=', '-p', `${pid}`]);
    return ofPsTime(stdout);
  } catch {
    // The process has ended, or the system has neither `/proc` nor `ps`.
    return null;
  }
}

function ofProcStat(stat: string): number | null {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ms = (Number(fields[USER_TIME]) + Number(fields[SYSTEM_TIME])) * TICK_MS;
  return Number.isFinite(ms) ? ms : null;
}

/** Reads the TIME of `ps` in the forms of macOS (`0:03.45`) and POSIX (`1-02:03:04`). Exported for its test. */
export function ofPsTime(text: string): number | null {
  const found = /^\s*(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+(?:\.\d+)?)\s*$/.exec(text);
  if (!found) return null;
  const [days, hours, minutes, seconds] = found.slice(1).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
  ];
  return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000;
}

/** Returns resident memory in MB of 10^6 bytes; null if the system does not report it. */
export async function readResidentMb(pid: number): Promise<number | null> {
  try {
    const kilobytes =
      process.platform === 'linux'
        ? /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
        : (await promisify(execFile)('ps', ['-o', 'rss=', '-p', `${pid}`])).stdout.trim();
    return Number(kilobytes) > 0 ? (Number(kilobytes) * 1_024) / 1e6 : null;
  } catch {
    return null;
  }
}
