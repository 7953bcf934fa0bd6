/** Waits for a condition with a bound and a name: a test that times out names it. */
import { setTimeout as pause } from 'node:timers/promises';

const POLL_MS = 10;

/** Resolves with the first truthy value; rejects after the bound, with the last error where there was one. */
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
