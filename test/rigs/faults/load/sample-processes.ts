/** Samples the resources of processes, from /proc. */
import { readdirSync, readFileSync } from 'node:fs';
import { setInterval } from 'node:timers';
import { type HistorySink, monotonicNow, type ProcessSample } from '../history.ts';

export interface Watched {
  /** The name, which does not change when the process is restarted. */
  readonly name: string;
  pid(): number;
}

/** Samples the processes at an interval. Returns a function that stops the sampling. */
export function sampleProcesses(watched: readonly Watched[], sink: HistorySink, everyMs = 1_000): () => void {
  const timer = setInterval(() => {
    for (const { name, pid } of watched) {
      const sample = sampleOf(name, pid());
      if (sample) sink.write(sample);
    }
  }, everyMs);
  return () => clearInterval(timer);
}

/** The size of a page on every Linux that Node runs on. */
const PAGE_BYTES = 4_096;
const TICK_MS = 10;

/** Samples a process. Returns null if it does not exist. */
export function sampleOf(name: string, pid: number): ProcessSample | null {
  const at = monotonicNow();
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name in parentheses may contain spaces. Of the fields after it, utime is the 12th and stime the 13th.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]);
    // A process that has ended but was not reaped holds nothing.
    if (pages === 0) return null;
    const descriptors = readdirSync(`/proc/${pid}/fd`).length;
    const cpuMs = (Number(fields[11]) + Number(fields[12])) * TICK_MS;
    const held = { rss: pages * PAGE_BYTES, descriptors, cpuMs, ...mainThreadOf(pid) };
    return { kind: 'process', at, ended: monotonicNow(), name, pid, ...held };
  } catch {
    return null;
  }
}

function mainThreadOf(pid: number): Pick<ProcessSample, 'main'> {
  try {
    const [ranNs, waitedNs] = readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ').map(Number);
    return { main: { ranMs: Number(ranNs) / 1e6, waitedMs: Number(waitedNs) / 1e6 } };
  } catch {
    // This kernel does not report these statistics.
    return {};
  }
}
