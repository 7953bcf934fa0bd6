/** Gives inference children only a share of a processor, as on a busy machine. For tests on Linux. */
import { readdirSync, readFileSync } from 'node:fs';

/**
 * Stops and continues this process's children in turns until the work is over.
 * @param share the share of each period in which they may run; 0: never
 */
export async function withSlowChildren<T>(share: number, work: () => Promise<T>, periodMs = 100): Promise<T> {
  let isStopped = true;
  let timer: NodeJS.Timeout | undefined;
  function turn(): void {
    isStopped = share === 0 || !isStopped;
    for (const pid of childPids()) signal(pid, isStopped ? 'SIGSTOP' : 'SIGCONT');
    timer = setTimeout(turn, periodMs * (isStopped ? 1 - share : share));
  }
  turn();
  try {
    return await work();
  } finally {
    clearTimeout(timer);
    for (const pid of childPids()) signal(pid, 'SIGCONT');
  }
}

/** Returns the process ids of the children of this process. */
export function childPids(): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => parentOf(pid) === process.pid);
}

function parentOf(pid: number): number | undefined {
  try {
    return Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1]);
  } catch {
    return undefined;
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended.
  }
}
