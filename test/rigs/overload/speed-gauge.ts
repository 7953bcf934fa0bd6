/**
 * How fast a processor is at the moment. On a shared machine that changes by half within minutes, and with it what a CPU
 * second is worth: what was measured at different times is compared by the work that a processor did, not by its time.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { pin } from './pinning.ts';

export interface SpeedGauge {
  /** @returns what gives the pieces of one and the same work that a CPU second did from then on, by their median */
  begin(): () => number;
  stop(): void;
}

/** Takes about one hundredth of the processor. */
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
        if (middle === undefined) throw new Error('nothing was measured of the speed of the processor');
        return 1 / middle;
      };
    },
    stop: () => void child.kill('SIGKILL'),
  };
}
