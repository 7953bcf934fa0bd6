/**
 * Keeps as many workers running on this machine as the waiting work needs. A worker that is not needed any more is told to
 * end and hands back what it has; one that dies is replaced. Where another cannot start (Postgres has no room for its
 * connections, say), those that run go on, and the next attempt waits.
 */
import { CommandFailure } from '../command-line/failure.ts';

/** A worker as its starter hands it over. */
export interface WorkerProcess {
  readonly pid: number;
  /** Resolves with the reason in words when it has ended. */
  readonly exited: Promise<string>;
  /** Tells it to end in good order. */
  end(): void;
}

export interface AutoscaleParts {
  /** Returns how many workers what waits needs; rejects while Postgres does not answer. */
  look(): Promise<number>;
  /** As createScaler of desired-workers.ts. */
  scale(nowMs: number, needed: number): number;
  /** @param place 0 to the most workers less one, each held by one worker at a time */
  start(place: number): WorkerProcess;
  say(line: string): void;
  readonly now: () => number;
  /** Resolves at the end of the time, or when the signal aborts. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
}

const LOOK_EVERY_MS = 5_000;
/** A worker that lived for so long had started. */
const STARTED_AFTER_MS = 20_000;
/** After a start that failed. */
const NEXT_START_MS = 60_000;
const MOST_FAILED_STARTS = 5;

interface Running {
  readonly worker: WorkerProcess;
  readonly since: number;
}

/** Resolves once it was told to end and every worker has ended; rejects where no worker can be started. */
export async function autoscale(parts: AutoscaleParts): Promise<void> {
  const { signal, pause } = parts;
  const workers = createWorkers(parts);
  try {
    while (!signal.aborted) {
      await workers.adjust();
      await pause(LOOK_EVERY_MS, signal);
    }
  } finally {
    await workers.endAll();
  }
}

function createWorkers(parts: AutoscaleParts) {
  const { say, now } = parts;
  const running = new Map<number, Running>();
  const ending = new Set<Promise<string>>();
  let failedStarts = 0;
  let noStartBefore = Number.NEGATIVE_INFINITY;
  let isBlind = false;

  async function wanted(): Promise<number> {
    try {
      const needed = await parts.look();
      if (isBlind) say('Postgres answers again');
      isBlind = false;
      return parts.scale(now(), needed);
    } catch (error) {
      if (!isBlind) say(`the work that waits cannot be seen (${String(error)}): ${running.size} workers stay`);
      isBlind = true;
      return running.size;
    }
  }

  function start(place: number): void {
    const worker = parts.start(place);
    const since = now();
    running.set(place, { worker, since });
    say(`worker ${place + 1} started (process ${worker.pid}); ${running.size} in all`);
    void worker.exited.then((reason) => {
      // Told to end, it has left its place already.
      if (running.get(place)?.worker === worker) died(place, now() - since, reason);
    });
  }

  function died(place: number, livedMs: number, reason: string): void {
    running.delete(place);
    const hadStarted = livedMs >= STARTED_AFTER_MS;
    failedStarts = hadStarted ? 0 : failedStarts + 1;
    noStartBefore = hadStarted ? now() : now() + (running.size > 0 ? NEXT_START_MS : LOOK_EVERY_MS);
    say(`worker ${place + 1} ended (${reason}); ${running.size} go on`);
  }

  function end(place: number, { worker }: Running): void {
    running.delete(place);
    const ended = worker.exited.finally(() => ending.delete(ended));
    ending.add(ended);
    worker.end();
    say(`worker ${place + 1} is told to end (process ${worker.pid}); ${running.size} go on`);
  }

  return {
    async adjust(): Promise<void> {
      if (running.size === 0 && failedStarts >= MOST_FAILED_STARTS) {
        throw new CommandFailure(`no worker could be started in ${failedStarts} attempts`, {
          remedy: 'its log, above, says why',
        });
      }
      const target = await wanted();
      for (const [place, one] of [...running].reverse()) if (running.size > target) end(place, one);
      for (let place = 0; running.size < target && now() >= noStartBefore; place++) {
        if (!running.has(place)) start(place);
      }
    },
    async endAll(): Promise<void> {
      for (const [place, one] of running) end(place, one);
      await Promise.all(ending);
    },
  };
}
