/** Repeats work, one round at a time with pauses, until it is stopped. */
export type Repeating = ReturnType<typeof repeat>;

/**
 * Begins the first round at once. A pause does not keep the process alive.
 * @param round the work, which reports its own failures and must not reject
 */
export function repeat(pauseMs: number, round: () => Promise<void>) {
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
    /** Resolves when the first round has ended. */
    started: underWay,
    /** Resolves when the round in progress has ended; a pause ends at once. */
    stop() {
      isStopped = true;
      clearTimeout(timer);
      return underWay;
    },
  };
}
