/**
 * Rejects commands at once while a server hangs. The circuit opens after several unanswered writes in a row. While it
 * is open, a probe waits for the server, so that readers need not wait.
 */
interface CircuitOptions {
  /** Sends a probe. Resolves when the server answers. */
  probe(): Promise<unknown>;
  /** Called at every change of the state. */
  changed(state: 'open' | 'closed'): void;
  /**
   * The number of unanswered writes in a row that open the circuit. One is too few, since a pause of this process has
   * the same effect.
   */
  readonly threshold?: number;
  readonly probeEveryMs?: number;
}

export function createCircuit({ probe, changed, threshold = 3, probeEveryMs = 100 }: CircuitOptions) {
  let unanswered = 0;
  let timer: NodeJS.Timeout | null = null;

  function close(): void {
    unanswered = 0;
    if (timer === null) return;
    clearTimeout(timer);
    timer = null;
    changed('closed');
  }

  function probeLater(): void {
    const own = setTimeout(() => {
      probe().then(
        () => {
          if (timer === own) close();
        },
        () => {
          if (timer === own) probeLater();
        },
      );
    }, probeEveryMs);
    own.unref();
    timer = own;
  }

  return {
    /** Returns whether commands may be sent. */
    isClosed: (): boolean => timer === null,
    answered(): void {
      if (timer === null) unanswered = 0;
    },
    /** Records that a write was not answered in time. */
    timedOut(): void {
      unanswered++;
      if (timer !== null || unanswered < threshold) return;
      changed('open');
      probeLater();
    },
    /** Resets the circuit for a new connection, since failures of the previous one do not count. */
    reset: close,
  };
}
