/** Keeps a process running: restarts it when it dies, until it is asked to stop or keeps dying. */

/** A started process. */
export interface Started {
  readonly pid: number;
  /** Resolves with the reason as text when the process has ended. */
  readonly exited: Promise<string>;
  /**
   * Ends the process: gracefully, and by force if it does not end in time.
   * @param isReplaced whether another process replaces it
   */
  stop(isReplaced?: boolean): Promise<void>;
  /** Ends the process and its child processes at once. */
  kill(): void;
  /** Returns the end of its log, which is shown when the process is given up. */
  lastOutput(): string;
}

export interface SupervisorParts {
  readonly name: string;
  /**
   * Starts the process.
   * @param isAgain whether the previous process died. In that case `start` need not reject, since the end of the
   * process counts as another death
   */
  readonly start: (isAgain: boolean) => Promise<Started>;
  readonly say: (line: string) => void;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
}

export type Supervised = Awaited<ReturnType<typeof supervise>>;

/** Starts the process and watches it. Rejects if the start fails. */
export async function supervise(parts: SupervisorParts) {
  const done = Promise.resolve();
  const state: State = { current: await parts.start(false), stopping: false, starting: done, leaving: done };
  const { promise: givenUp, resolve: giveUp } = Promise.withResolvers<string>();
  const watching = watch(parts, state).then((reason) => {
    if (reason !== undefined) giveUp(reason);
  });
  return {
    name: parts.name,
    pid: () => state.current.pid,
    /** Resolves with the reason when the process was given up. */
    givenUp,
    stop: async () => {
      state.stopping = true;
      await Promise.all([state.current.stop(), state.leaving]);
      await watching;
      // If a start was in progress when `stop` was called, the current process is now another one.
      await state.current.stop();
    },
    /**
     * Starts another process, then ends this one gracefully. Resolves when it has ended. If the other process does not
     * start, rejects, and this one keeps running.
     */
    renew: async () => {
      await state.starting;
      const replaced = replace(parts, state);
      state.starting = replaced.catch(noop);
      await replaced;
      await state.leaving;
    },
    kill: () => {
      state.stopping = true;
      state.current.kill();
    },
  };
}

interface State {
  current: Started;
  stopping: boolean;
  /** The latest start of another process, ended or in progress. Never rejects. */
  starting: Promise<void>;
  /** The end of the last replaced process. */
  leaving: Promise<void>;
}

async function replace(parts: SupervisorParts, state: State): Promise<void> {
  const next = await parts.start(false);
  if (state.stopping) return next.kill();
  const before = state.current;
  state.current = next;
  state.leaving = before.stop(true);
}

/** Resolves when the process is stopped, or with the reason why it was given up. */
async function watch(parts: SupervisorParts, state: State): Promise<string | undefined> {
  const { name, say, now, sleep } = parts;
  for (let quickDeaths = 0; ; ) {
    const startedAt = now();
    const watched = state.current;
    const reason = await watched.exited;
    if (state.stopping) return undefined;
    // Ends child processes that would otherwise survive it.
    watched.kill();
    // A replacement may be starting.
    await state.starting;
    if (state.stopping) return undefined;
    if (state.current !== watched) continue;
    const decision = decideRestart(now() - startedAt, quickDeaths);
    quickDeaths = decision.quickDeaths;
    if (decision.pauseMs === null) {
      return `${name} died ${quickDeaths} times in a row (${reason}):\n${watched.lastOutput()}`;
    }
    say(`${name} died (${reason}): restarting it`);
    const started = sleep(decision.pauseMs).then(() => (state.stopping ? null : parts.start(true)));
    state.starting = started.then(noop, noop);
    try {
      const next = await started;
      if (next === null) return undefined;
      state.current = next;
    } catch (error) {
      return `${name} died (${reason}) and cannot be started again: ${error instanceof Error ? error.message : error}`;
    }
    if (state.stopping) state.current.kill();
  }
}

const noop = () => {};

interface RestartDecision {
  /** The number of deaths in a row soon after a start, including this one. */
  readonly quickDeaths: number;
  /** Milliseconds until the next start; null to give up. */
  readonly pauseMs: number | null;
}

/**
 * A process that lived for at least this many milliseconds had started well. Its death counts as the first one again.
 */
export const STEADY_AFTER_MS = 10_000;
export const MOST_QUICK_DEATHS = 5;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;

/**
 * Decides when a process that died is restarted: after a short pause the first time, after longer pauses while it keeps
 * dying, and never again after `MOST_QUICK_DEATHS` in a row. `before` is the number of quick deaths in a row before
 * this one.
 */
export function decideRestart(livedMs: number, before: number): RestartDecision {
  if (livedMs >= STEADY_AFTER_MS) return { quickDeaths: 0, pauseMs: FIRST_PAUSE_MS };
  const quickDeaths = before + 1;
  if (quickDeaths >= MOST_QUICK_DEATHS) return { quickDeaths, pauseMs: null };
  return { quickDeaths, pauseMs: Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 3 ** (quickDeaths - 1)) };
}
