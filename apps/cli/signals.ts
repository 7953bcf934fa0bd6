/**
 * The handling of Ctrl-C, SIGTERM and SIGHUP. The first signal requests an orderly end, and the second ends the process
 * at once. One request may arrive as several signals: a closing terminal sends SIGHUP to its whole process group, and
 * npm and the launcher forward what they get.
 */

/** The part of the process that is watched. */
interface Signalled {
  on(name: NodeJS.Signals, listener: (name: NodeJS.Signals) => void): unknown;
  exit(code: number): void;
}

/**
 * Milliseconds after the first signal in which a signal belongs to the same request. A person may press Ctrl-C again
 * soon. Programs send the other signals, and a launcher notices the end of npx only after a while.
 */
const SAME_REQUEST_MS = { SIGINT: 300, SIGTERM: 5_000, SIGHUP: 5_000 } as const;

type Watched = keyof typeof SAME_REQUEST_MS;

export function watchSignals(watched: Signalled, now: () => number) {
  const controller = new AbortController();
  const acts = new Set<() => void>();
  let firstAt: number | undefined;
  const end = (why: string) => controller.abort(new Error(`ended by ${why}`));
  const onSignal = (name: Watched) => {
    if (firstAt === undefined) {
      firstAt = now();
      return end(name);
    }
    if (now() - firstAt < SAME_REQUEST_MS[name]) return;
    for (const act of acts) act();
    watched.exit(130);
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) watched.on(name, () => onSignal(name));
  return {
    /** Aborted by the first signal. */
    signal: controller.signal,
    /** Registers a function that runs at the second signal, before the process ends. Returns a function that removes it. */
    whenForced: (act: () => void) => {
      acts.add(act);
      return () => acts.delete(act);
    },
    /** Requests an orderly end without a signal. */
    end,
    /** Returns whether a function is registered for the second signal. If so, this process has started other processes. */
    keeps: () => acts.size > 0,
  };
}
