/**
 * Reads CPU and memory of processes from `/proc`: the CPU of whole trees (a server and its backends, a worker and its
 * inference children) and the peak memory of each process. It needs Linux; on other systems every call throws.
 */
import { readdirSync, readFileSync } from 'node:fs';

interface Stat {
  readonly pid: number;
  readonly parent: number;
  /** The CPU of the process, and of the ended children that it has waited for. */
  readonly cpuSeconds: number;
}

/** Clock ticks per second (USER_HZ): 100 on every Linux that Node runs on. */
const CLOCK_TICKS = 100;

/** Returns the CPU seconds that these processes and all their descendants have used so far, ended children included. */
export function cpuSecondsOf(roots: readonly number[]): number {
  const tree = treeOf(roots);
  return readAll()
    .filter(({ pid }) => tree.has(pid))
    .reduce((sum, one) => sum + one.cpuSeconds, 0);
}

/** Returns the pids of these processes and of all their descendants. */
export function treeOf(roots: readonly number[]): ReadonlySet<number> {
  const all = readAll();
  const tree = new Set(roots);
  // A parent may have a higher pid than its child, so repeat until nothing is added.
  for (let size = -1; size !== tree.size; ) {
    size = tree.size;
    for (const { pid, parent } of all) if (tree.has(parent)) tree.add(pid);
  }
  return tree;
}

/** Returns the peak of resident memory so far, in MB, or undefined if the process has ended. */
export function peakMegabytes(pid: number): number | undefined {
  const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(readText(`/proc/${pid}/status`) ?? '')?.[1];
  return kilobytes === undefined ? undefined : Number(kilobytes) / 1024;
}

export interface PeakWatch {
  /** Ends the watch. Returns the peak of the root and the highest peak of a descendant, in MB. */
  stop(): { readonly rootMb: number; readonly childMb: number };
}

const LOOK_EVERY_MS = 1_000;

/**
 * Watches the peak memory of a process tree. It looks every second, because the kernel forgets the peak of an ended
 * process.
 */
export function watchPeaks(root: number): PeakWatch {
  const peaks = new Map<number, number>();
  const look = () => {
    for (const pid of treeOf([root])) peaks.set(pid, Math.max(peaks.get(pid) ?? 0, peakMegabytes(pid) ?? 0));
  };
  look();
  const timer = setInterval(look, LOOK_EVERY_MS);
  return {
    stop() {
      clearInterval(timer);
      look();
      const children = [...peaks].filter(([pid]) => pid !== root).map(([, peak]) => peak);
      return { rootMb: peaks.get(root) ?? 0, childMb: Math.max(0, ...children) };
    },
  };
}

function readAll(): Stat[] {
  if (process.platform !== 'linux') throw new Error('CPU and memory are read from /proc, which only Linux has');
  return readdirSync('/proc').flatMap((name) => {
    const text = /^\d+$/.test(name) ? readText(`/proc/${name}/stat`) : undefined;
    if (text === undefined) return [];
    // The name in parentheses may contain spaces and parentheses, so fields count from the last parenthesis.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    // utime, stime, cutime and cstime: the last two are of ended children.
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    return [{ pid: Number(name), parent: Number(fields[1]), cpuSeconds: ticks / CLOCK_TICKS }];
  });
}

/** Returns undefined if the process has ended. */
function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
