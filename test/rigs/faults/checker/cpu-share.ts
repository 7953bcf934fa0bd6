/**
 * Measures the share of their runnable time for which the APIs got a CPU. On a busy machine rates fall without a fault,
 * so the expected rate falls by the same share, and no further.
 */
import type { ProcessSample } from '../history.ts';

export interface CpuShare {
  take(sample: ProcessSample, second: number): void;
  /** Returns the running time divided by the running and waiting time in those seconds, or null if unknown. */
  of(seconds: readonly number[]): number | null;
}

interface Spent {
  ran: number;
  waited: number;
}

export function createCpuShare(): CpuShare {
  const before = new Map<string, NonNullable<ProcessSample['main']>>();
  const spent: (Spent | undefined)[] = [];
  return {
    take({ name, pid, main }, second) {
      if (!name.startsWith('api') || main === undefined) return;
      const key = `${name} ${pid}`;
      const last = before.get(key);
      before.set(key, main);
      if (last === undefined) return;
      spent[second] ??= { ran: 0, waited: 0 };
      const own = spent[second];
      own.ran += main.ranMs - last.ranMs;
      own.waited += main.waitedMs - last.waitedMs;
    },
    of(seconds) {
      let [ran, all] = [0, 0];
      for (const second of seconds) {
        const one = spent[second];
        ran += one?.ran ?? 0;
        all += one ? one.ran + one.waited : 0;
      }
      return all > 0 ? ran / all : null;
    },
  };
}
