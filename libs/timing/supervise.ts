/** Keeps a process running: restarts it when it dies, until it is asked to stop or keeps dying. */

/** A process as its starter hands it over. */
export interface Started {
  readonly pid: number;
  /** Resolves with the reason in words when it has ended. */
  readonly exited: Promise<string>;
  /**
   * Ends it in good order, by force where it does not follow.
   * @param isReplaced whether another process is to take its place
   */
  stop(isReplaced?: boolean): Promise<void>;
  /** Ends it, and what it started, at once. */
  kill(): void;
  /** Returns the end of its log, shown when it cannot be kept running. */
  lastOutput(): string;
}

export interface Supervised {
  readonly name: string;
  pid(): number;
  stop(): Promise<void>;
  /**
   * Starts another process, then ends this one in good order; resolves when it has ended. Rejects if the other one does not
   * start: this one then keeps running.
   */
  renew(): Promise<void>;
  kill(): void;
  /** Resolves when it was given up, with the reason. */
  readonly givenUp: Promise<string>;
}

export interface SupervisorParts {
  readonly name: string;
  /** @param isAgain whether the process before died. It need not reject then: its end counts as another death */
  readonly start: (isAgain: boolean) => Promise<Started>;
  readonly say: (line: string) => void;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
}

/** Starts the process, and rejects where that fails; from then on it is watched. */
export async function supervise(parts: SupervisorParts): Promise<Supervised> {
  const done = Promise.resolve();
  const state: State = { current: await parts.start(false), stopping: false, starting: done, leaving: done };
  const { promise: givenUp, resolve: giveUp } = Promise.withResolvers<string>();
  const watching = watch(parts, state).then((reason) => {
    if (reason !== undefined) giveUp(reason);
  });
  return {
    name: parts.name,
    pid: () => state.current.pid,
    givenUp,
    stop: async () => {
      state.stopping = true;
      await Promise.all([state.current.stop(), state.leaving]);
      await watching;
      // A start that was under way when the stop was asked for has put another process in its place.
      await state.current.stop();
    },
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
  /** The start of another process that is under way, or was the last; never rejects. */
  starting: Promise<void>;
  /** The end of the process that was replaced last. */
  leaving: Promise<void>;
}

async function replace(parts: SupervisorParts, state: State): Promise<void> {
  const next = await parts.start(false);
  if (state.stopping) return next.kill();
  const before = state.current;
  state.current = next;
  state.leaving = before.stop(true);
}

/** Resolves when it is stopped, or with the reason why it was given up. */
async function watch(parts: SupervisorParts, state: State): Promise<string | undefined> {
  const { name, say, now, sleep } = parts;
  for (let quickDeaths = 0; ; ) {
    const startedAt = now();
    const watched = state.current;
    const reason = await watched.exited;
    if (state.stopping) return undefined;
    // Whatever it started would otherwise stay behind without it.
    watched.kill();
    // Another one may be about to take its place.
    await state.starting;
    if (state.stopping) return undefined;
    if (state.current !== watched) continue;
    const decision = decideRestart(now() - startedAt, quickDeaths);
    quickDeaths = decision.quickDeaths;
    if (decision.pauseMs === null) {
      return `${name} died ${quickDeaths} times in a row (${reason}):\n${watched.lastOutput()}`;
    }
    say(`${name} died (${reason}): starting it again`);
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
  /** Deaths in a row that came soon after the start, this one included. */
  readonly quickDeaths: number;
  /** Milliseconds until the next start; null: give up. */
  readonly pauseMs: number | null;
}

/** A process that lived this long had started well; its death counts as the first one again. */
export const STEADY_AFTER_MS = 10_000;
export const MOST_QUICK_DEATHS = 5;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;

/**
 * Decides when a process that died is restarted: at once the first time, later and later while it keeps dying, and no
 * more once restarts do not help. `before`: quick deaths in a row until this one.
 */
export function decideRestart(livedMs: number, before: number): RestartDecision {
  if (livedMs >= STEADY_AFTER_MS) return { quickDeaths: 0, pauseMs: FIRST_PAUSE_MS };
  const quickDeaths = before + 1;
  if (quickDeaths >= MOST_QUICK_DEATHS) return { quickDeaths, pauseMs: null };
  return { quickDeaths, pauseMs: Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 3 ** (quickDeaths - 1)) };
}
