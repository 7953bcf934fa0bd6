/**
 * Ends a process by politer signals first, and waits until it is really gone: the next server of the same folder must not
 * start beside it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isRunning, type ProcessIdentity } from './process-identity.ts';

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
