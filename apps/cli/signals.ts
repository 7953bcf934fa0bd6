/** Ctrl-C, SIGTERM and a closed terminal ask for an end in good order; asking again asks for it at once. */

export interface SignalWatch {
  /** Aborted by the first of them. */
  readonly signal: AbortSignal;
  /** Registers what the second one does before the process ends; gives what takes it back. */
  readonly whenForced: (act: () => void) => () => void;
}

/** `exec node` under npm gets a terminal's Ctrl-C twice (from the terminal, and passed on): that is one wish. */
const SAME_WISH_MS = 300;

export function watchSignals(now: () => number = () => performance.now()): SignalWatch {
  const controller = new AbortController();
  const acts = new Set<() => void>();
  let firstAt: number | undefined;
  const onSignal = (name: NodeJS.Signals) => {
    if (firstAt === undefined) {
      firstAt = now();
      controller.abort(new Error(`ended by ${name}`));
      return;
    }
    if (now() - firstAt < SAME_WISH_MS) return;
    for (const act of acts) act();
    process.exit(130);
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  return {
    signal: controller.signal,
    whenForced: (act) => {
      acts.add(act);
      return () => acts.delete(act);
    },
  };
}
