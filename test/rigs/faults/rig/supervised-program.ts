/**
 * An API or a worker under a supervisor. A process that has ended, for any reason, is started again after a short
 * pause. The pause grows while processes end soon after their start. The supervisor never gives up, because some faults
 * last long.
 */
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Ending, type Program, type ProgramName, startProgram } from '../../../e2e/program.fixture.ts';
import { until } from '../../../e2e/until.fixture.ts';
import { createFailpoints, type Failpoints } from './failpoint-control.ts';
import type { Ways } from './ways.ts';

export interface ProgramParts {
  readonly kind: ProgramName;
  readonly no: number;
  /** Null for a worker. */
  readonly url: string | null;
  readonly proxies: Ways;
  /** Returns the environment variables for a start. */
  environment(): Readonly<Record<string, string>>;
  /** The names of the plants in the program's source text. */
  readonly plants: readonly string[];
  /** The file that arms the failpoints of the program. */
  readonly pointsFile: string;
  /** The file that moves the clock of the program. */
  readonly clockFile: string;
  onLine?(name: string, line: string): void;
}

export interface SupervisedProgram {
  /** `api 1`, `worker 2`: the name does not change at a restart. */
  readonly name: string;
  readonly kind: ProgramName;
  readonly url: string | null;
  /** The program's own proxy for each store. */
  readonly proxies: Ways;
  readonly failpoints: Failpoints;
  /** Returns the id of the process that runs, or ran last. */
  pid(): number;
  /** Returns the number of processes started so far. */
  starts(): number;
  isRunning(): boolean;
  /** Sends a signal to the running process. Does nothing if no process runs. */
  signal(signal: NodeJS.Signals): void;
  /** Returns the process ids of the inference children. */
  children(): readonly number[];
  /** Resolves when the process that runs, or ran last, has ended. */
  ended(): Promise<Ending>;
  /** Resolves when a process has logged that it has started. */
  ready(withinMs?: number): Promise<void>;
  /** Resolves when more than `starts` processes were started. The newest may not be ready yet. */
  startedAgain(starts: number, withinMs?: number): Promise<void>;
  /** Sets the time of day ahead by that many milliseconds, also for later processes; see plant/clock-runtime.ts. */
  setClock(aheadMs: number): void;
  /** Ends the process with the signal. Resolves when the next process has started. */
  restart(signal?: NodeJS.Signals): Promise<void>;
  /** Stops starting the program again after its process has ended. */
  hold(): void;
  /** Ends the effect of `hold`. */
  release(): void;
  /** Kills the process, and does not start it again. */
  close(): Promise<void>;
}

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 2_000;
/** A process that ran this long resets the pause. */
const STEADY_AFTER_MS = 5_000;
const KEPT_LINES = 200;
const PRELOAD = new URL('../plant/preload.ts', import.meta.url);

export function superviseProgram(parts: ProgramParts): SupervisedProgram {
  const { kind, no, url, proxies, pointsFile } = parts;
  const name = `${kind} ${no}`;
  let isHeld = false;
  let isClosing = false;
  let released = Promise.withResolvers<void>();
  let starts = 0;
  let hasStarted = false;
  let current = start();
  const watching = watch();

  function start(): Program {
    starts++;
    hasStarted = false;
    const program = startProgram(kind, parts.environment(), {
      nodeArguments: preloading(parts),
      mostLines: KEPT_LINES,
      onLine: (line) => parts.onLine?.(name, line),
    });
    // Recorded at once, because the log keeps only the last lines.
    const started = () => {
      hasStarted ||= program === current;
    };
    program.logged(`${kind}.started`).then(started, () => {});
    return program;
  }

  async function watch(): Promise<void> {
    for (let quickEnds = 0; ; ) {
      const startedAt = performance.now();
      await current.ended;
      if (isClosing) return;
      quickEnds = performance.now() - startedAt >= STEADY_AFTER_MS ? 0 : quickEnds + 1;
      await sleep(Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.max(0, quickEnds - 1)));
      if (isHeld) await released.promise;
      if (isClosing) return;
      current = start();
    }
  }

  async function ready(withinMs?: number): Promise<void> {
    await until(`${name} has started`, () => hasStarted && !current.hasEnded(), withinMs).catch((error: unknown) => {
      throw new Error(
        `${name} is not ready after ${starts} starts; last log: ${JSON.stringify(current.lines.slice(-3))}`,
        {
          cause: error,
        },
      );
    });
  }

  async function startedAgain(before: number, withinMs?: number): Promise<void> {
    await until(`${name} is started again`, () => starts > before, withinMs);
  }

  return {
    name,
    kind,
    url,
    proxies,
    failpoints: createFailpoints(pointsFile),
    pid: () => current.pid,
    starts: () => starts,
    isRunning: () => !current.hasEnded(),
    signal: (signal) => current.kill(signal),
    children: () => current.children(),
    ended: () => current.ended,
    ready,
    startedAgain,
    setClock: (aheadMs) => writeFileSync(parts.clockFile, String(aheadMs)),
    async restart(signal = 'SIGTERM') {
      const before = starts;
      current.kill(signal);
      await startedAgain(before);
      await ready();
    },
    hold() {
      isHeld = true;
    },
    release() {
      isHeld = false;
      released.resolve();
      released = Promise.withResolvers<void>();
    },
    async close() {
      isClosing = true;
      released.resolve();
      current.kill('SIGKILL');
      await watching;
    },
  };
}

function preloading({ plants, pointsFile, clockFile }: ProgramParts): readonly string[] {
  const preload = new URL(PRELOAD);
  preload.searchParams.set('plants', plants.join(','));
  preload.searchParams.set('points', pointsFile);
  preload.searchParams.set('clock', clockFile);
  return ['--import', preload.href];
}
