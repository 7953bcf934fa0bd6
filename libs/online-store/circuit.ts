/**
 * Rejects commands at once while a server hangs. It opens after several unanswered writes in a row; a probe then waits
 * for the server in place of readers.
 */
interface CircuitOptions {
  /** Resolves when the server answers. */
  probe(): Promise<unknown>;
  /** Called at every change. */
  changed(state: 'open' | 'closed'): void;
  /** Unanswered writes in a row that open the circuit. One is too few: a pause of this process looks the same. */
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
    /** Whether commands may be sent. */
    isClosed: (): boolean => timer === null,
    answered(): void {
      if (timer === null) unanswered = 0;
    },
    /** A write was not answered in time. */
    timedOut(): void {
      unanswered++;
      if (timer !== null || unanswered < threshold) return;
      changed('open');
      probeLater();
    },
    /** For a new connection: failures of the last one do not count. */
    reset: close,
  };
}
