/**
 * What processes use, from `/proc`: the CPU of whole trees (a server and its backends, a worker and its inference
 * children) and the peak memory of each process. Linux alone; elsewhere every call throws.
 */
import { readdirSync, readFileSync } from 'node:fs';

interface Stat {
  readonly pid: number;
  readonly parent: number;
  /** Of itself and of the children that it has waited for. */
  readonly cpuSeconds: number;
}

/** USER_HZ: 100 on every Linux that Node runs on. */
const CLOCK_TICKS = 100;

/** The CPU seconds that these processes and all their descendants have used so far, ended children included. */
export function cpuSecondsOf(roots: readonly number[]): number {
  const tree = treeOf(roots);
  return readAll()
    .filter(({ pid }) => tree.has(pid))
    .reduce((sum, one) => sum + one.cpuSeconds, 0);
}

/** These processes and all their descendants. */
export function treeOf(roots: readonly number[]): ReadonlySet<number> {
  const all = readAll();
  const tree = new Set(roots);
  // A parent may have a higher number than its child: again until nothing is added.
  for (let size = -1; size !== tree.size; ) {
    size = tree.size;
    for (const { pid, parent } of all) if (tree.has(parent)) tree.add(pid);
  }
  return tree;
}

/** Resident memory at its highest so far, in MB; undefined where the process is gone. */
export function peakMegabytes(pid: number): number | undefined {
  const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(readText(`/proc/${pid}/status`) ?? '')?.[1];
  return kilobytes === undefined ? undefined : Number(kilobytes) / 1024;
}

export interface PeakWatch {
  /** Ends the watch. The peak of the root, and the highest of its descendants, in MB. */
  stop(): { readonly rootMb: number; readonly childMb: number };
}

const LOOK_EVERY_MS = 1_000;

/** Looks now and then, for the sake of processes that end meanwhile; the kernel remembers the peaks in between. */
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
    // The name in parentheses may hold spaces and parentheses itself: fields count from after the last one.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    // utime, stime, and both of ended children.
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    return [{ pid: Number(name), parent: Number(fields[1]), cpuSeconds: ticks / CLOCK_TICKS }];
  });
}

/** Undefined where the process has ended. */
function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
