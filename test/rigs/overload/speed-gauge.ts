/**
 * Measures the current speed of a core. On a shared machine the speed can change by half within minutes. So
 * measurements of different times are compared by the work that a core did, not by its CPU time.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { pin } from './pinning.ts';

export interface SpeedGauge {
  /** Returns a function that returns the units of work per CPU second since the call of `begin`, by their median. */
  begin(): () => number;
  stop(): void;
}

/** Starts the gauge, which takes about one hundredth of the core. */
export async function gaugeSpeed(processor: number): Promise<SpeedGauge> {
  const child = fork(fileURLToPath(new URL('./spin.ts', import.meta.url)));
  const seconds: number[] = [];
  const first = new Promise((resolve) => child.once('message', resolve));
  child.on('message', (took: number) => seconds.push(took));
  await first;
  await pin(child.pid ?? 0, processor);
  return {
    begin() {
      const from = seconds.length;
      return () => {
        const sorted = seconds.slice(from).sort((a, b) => a - b);
        const middle = sorted[sorted.length >> 1];
        if (middle === undefined) throw new Error('the speed of the core was not measured');
        return 1 / middle;
      };
    },
    stop: () => void child.kill('SIGKILL'),
  };
}
