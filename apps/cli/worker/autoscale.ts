/**
 * Keeps as many workers running on this machine as the waiting work needs. A worker that is no longer needed gets a
 * signal and returns its unfinished work. A worker that died is replaced. If another worker cannot start, for example
 * because Postgres has no room for its connections, the others continue, and the next attempt follows after a pause.
 */
import { CommandFailure } from '@tandem/commands/failure';

/** A started worker. */
export interface WorkerProcess {
  readonly pid: number;
  /** Resolves with a text of the reason when it has ended. */
  readonly exited: Promise<string>;
  /** Ends the worker in order. */
  end(): void;
}

export interface AutoscaleParts {
  /** Returns how many workers the waiting work needs. Rejects while Postgres does not answer. */
  look(): Promise<number>;
  /** Returns how many workers to run, as the function of `createScaler` (desired-workers.ts) does. */
  scale(nowMs: number, needed: number): number;
  /**
   * Starts a worker.
   * @param place a number from 0 to the most workers minus one, which one worker has from its start until it has ended
   */
  start(place: number): WorkerProcess;
  say(line: string): void;
  readonly now: () => number;
  /** Resolves after the time, or when the signal aborts. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
}

const LOOK_EVERY_MS = 5_000;
/** Milliseconds after which a running worker counts as started. */
const STARTED_AFTER_MS = 20_000;
/** Milliseconds of the pause after a failed start. */
const NEXT_START_MS = 60_000;
const MOST_FAILED_STARTS = 5;

interface Running {
  readonly worker: WorkerProcess;
  readonly since: number;
  /**
   * Whether it got the signal. It then returns its unfinished work, and keeps its place (its port) and its connections
   * until it has ended.
   */
  isEnding: boolean;
}

/** Resolves after the end was requested and every worker has ended; rejects if no worker can be started. */
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
  /** Running workers by place. */
  const held = new Map<number, Running>();
  let failedStarts = 0;
  let noStartBefore = Number.NEGATIVE_INFINITY;
  let isBlind = false;

  const running = () => [...held].filter(([, { isEnding }]) => !isEnding);

  async function wanted(): Promise<number> {
    try {
      const needed = await parts.look();
      if (isBlind) say('Postgres answers again');
      isBlind = false;
      return parts.scale(now(), needed);
    } catch (error) {
      if (!isBlind)
        say(
          `the waiting work cannot be read (${String(error)}), so the number of workers stays at ${running().length}`,
        );
      isBlind = true;
      return running().length;
    }
  }

  function start(place: number): void {
    const worker = parts.start(place);
    const one = { worker, since: now(), isEnding: false };
    held.set(place, one);
    say(`worker ${place + 1} started (process ${worker.pid}); ${running().length} in all`);
    void worker.exited.then((reason) => {
      held.delete(place);
      if (!one.isEnding) died(place, now() - one.since, reason);
    });
  }

  function died(place: number, livedMs: number, reason: string): void {
    const hadStarted = livedMs >= STARTED_AFTER_MS;
    failedStarts = hadStarted ? 0 : failedStarts + 1;
    noStartBefore = hadStarted ? now() : now() + (running().length > 0 ? NEXT_START_MS : LOOK_EVERY_MS);
    say(`worker ${place + 1} ended (${reason}); ${running().length} still running`);
  }

  function end([place, one]: readonly [number, Running]): void {
    one.isEnding = true;
    one.worker.end();
    say(`worker ${place + 1} gets SIGTERM (process ${one.worker.pid}); ${running().length} still running`);
  }

  return {
    async adjust(): Promise<void> {
      if (held.size === 0 && failedStarts >= MOST_FAILED_STARTS) {
        throw new CommandFailure(`no worker could be started in ${failedStarts} attempts`, {
          remedy: 'its log above says why',
        });
      }
      const target = await wanted();
      for (const one of running().slice(target)) end(one);
      for (let place = 0; held.size < target && now() >= noStartBefore; place++) {
        if (!held.has(place)) start(place);
      }
    },
    async endAll(): Promise<void> {
      for (const one of running()) end(one);
      await Promise.all([...held.values()].map(({ worker }) => worker.exited));
    },
  };
}
