/** Waits for a named condition with a time limit. */
import { setTimeout as pause } from 'node:timers/promises';

const POLL_MS = 10;

/**
 * Resolves with the first truthy value. Rejects after the time limit, with the last error as the cause if there is one.
 */
export async function until<T>(what: string, look: () => T | Promise<T>, withinMs = 120_000): Promise<T & {}> {
  const deadline = performance.now() + withinMs;
  let last: unknown;
  for (;;) {
    try {
      const found = await look();
      if (found) return found;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      throw new Error(`not within ${withinMs} ms: ${what}`, last === undefined ? {} : { cause: last });
    }
    await pause(POLL_MS);
  }
}
