/**
 * Watches runs for clients. Each run is polled once in each interval, for any number of watchers, and not at all
 * without watchers. A failed poll is retried, so that watchers survive an outage of the database.
 */
import { isFinished, type Run } from '@tandem/prediction/runs/runs';
import { type Repeating, repeat } from '@tandem/timing/repeat';

export interface RunListener {
  onRun(run: Run): void;
  onEnd(): void;
}

interface RunWatcherDependencies {
  find(runId: string): Promise<Run | undefined>;
  readonly intervalMs?: number;
}

interface Watched {
  readonly listeners: Set<RunListener>;
  last: Run | undefined;
  /** The polls of the run; undefined until the first poll has been sent. */
  polls: Repeating | undefined;
}

export function createRunWatcher({ find, intervalMs = 500 }: RunWatcherDependencies) {
  const watched = new Map<string, Watched>();
  let isClosed = false;

  function end(runId: string, one: Watched): void {
    void one.polls?.stop();
    watched.delete(runId);
    for (const listener of one.listeners) listener.onEnd();
    one.listeners.clear();
  }

  async function poll(runId: string, one: Watched): Promise<void> {
    try {
      const run = await find(runId);
      if (watched.get(runId) !== one) return;
      if (!run) return end(runId, one);
      if (hasChanged(one.last, run)) {
        one.last = run;
        for (const listener of one.listeners) listener.onRun(run);
      }
      if (isFinished(run.state)) return end(runId, one);
    } catch {
      // The next poll shows the new state.
    }
  }

  return {
    /**
     * Calls `onRun` with the run now and at each change. Then calls `onEnd` once, when the run has finished or was
     * deleted, or when the watcher closes.
     * @returns a function that stops the watch
     */
    watch(runId: string, listener: RunListener): () => void {
      if (isClosed) {
        listener.onEnd();
        return () => {};
      }
      const known = watched.get(runId);
      const one = known ?? { listeners: new Set(), last: undefined, polls: undefined };
      one.listeners.add(listener);
      if (known?.last) listener.onRun(known.last);
      if (!known) {
        watched.set(runId, one);
        one.polls = repeat(intervalMs, () => poll(runId, one));
      }
      return () => {
        one.listeners.delete(listener);
        if (one.listeners.size > 0 || watched.get(runId) !== one) return;
        void one.polls?.stop();
        watched.delete(runId);
      };
    },
    /** Returns the number of current watchers. */
    watchers: (runId: string) => watched.get(runId)?.listeners.size ?? 0,
    /** Ends all watches. */
    close() {
      isClosed = true;
      for (const [runId, one] of watched) end(runId, one);
    },
  };
}

function hasChanged(before: Run | undefined, run: Run): boolean {
  if (!before) return true;
  return (
    before.state !== run.state ||
    before.error !== run.error ||
    before.attempts !== run.attempts ||
    before.usersScored !== run.usersScored ||
    before.usersFailed !== run.usersFailed ||
    before.usersExpected !== run.usersExpected ||
    before.chunksCommitted !== run.chunksCommitted ||
    before.chunkCount !== run.chunkCount
  );
}
