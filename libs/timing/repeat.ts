/** Does something again and again, one round at a time, with a pause in between, until it is stopped. */
export interface Repeating {
  /** Resolves when the first round has ended. */
  readonly started: Promise<void>;
  /** Resolves when the round under way has ended; a pause ends at once. */
  stop(): Promise<void>;
}

/**
 * Begins the first round at once. A pause keeps no process alive.
 * @param round must not reject: it reports its own failures
 */
export function repeat(pauseMs: number, round: () => Promise<void>): Repeating {
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;

  async function run(): Promise<void> {
    await round();
    if (!isStopped) timer = setTimeout(again, pauseMs).unref();
  }

  function again(): void {
    underWay = run();
  }

  let underWay = run();
  return {
    started: underWay,
    stop() {
      isStopped = true;
      clearTimeout(timer);
      return underWay;
    },
  };
}
