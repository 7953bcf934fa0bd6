/** Does something again and again, one at a time, with a pause in between, until it is stopped. */
export interface Repeating {
  /** Resolves when the round under way has ended. */
  stop(): Promise<void>;
}

/** @param round must not reject: what goes wrong in it is its own to tell */
export function repeat(pauseMs: number, round: () => Promise<void>): Repeating {
  const stopped = new AbortController();
  const { promise: stopSignal, resolve } = Promise.withResolvers<void>();
  stopped.signal.addEventListener('abort', () => resolve(), { once: true });

  async function run(): Promise<void> {
    while (!stopped.signal.aborted) {
      await round();
      await pause(pauseMs, stopSignal);
    }
  }

  const ended = run();
  return {
    stop() {
      stopped.abort();
      return ended;
    },
  };
}

async function pause(ms: number, cutShort: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([promise, cutShort]);
  clearTimeout(timer);
}
