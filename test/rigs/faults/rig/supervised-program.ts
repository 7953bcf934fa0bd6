/**
 * An API or a worker as a supervisor keeps it: a process that ended, however it ended, comes back after a short pause,
 * which grows while it keeps ending soon after its start. It is never given up: some faults last.
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
  /** Of each start. */
  environment(): Readonly<Record<string, string>>;
  /** Names of the plants in its text. */
  readonly plants: readonly string[];
  /** Arms its failpoints. */
  readonly pointsFile: string;
  /** Moves its clock. */
  readonly clockFile: string;
  onLine?(name: string, line: string): void;
}

export interface SupervisedProgram {
  /** `api 1`, `worker 2`: stays when it is started again. */
  readonly name: string;
  readonly kind: ProgramName;
  readonly url: string | null;
  /** Its own way to each store. */
  readonly proxies: Ways;
  readonly failpoints: Failpoints;
  /** Of the process that runs, or ran last. */
  pid(): number;
  /** How many processes it has had. */
  starts(): number;
  isRunning(): boolean;
  /** Sends to the process that runs now; to none if none runs. */
  signal(signal: NodeJS.Signals): void;
  /** Its inference children's process ids. */
  children(): readonly number[];
  /** When the process that runs now, or ran last, has ended. */
  ended(): Promise<Ending>;
  /** When a process of it has started: it said so in its log. */
  ready(withinMs?: number): Promise<void>;
  /** When it has been started again since it had had so many processes; that one may still be starting. */
  startedAgain(starts: number, withinMs?: number): Promise<void>;
  /** Its time of day is that many milliseconds ahead from now on, also after a restart; see plant/clock-runtime.ts. */
  setClock(aheadMs: number): void;
  /** Ends it by the signal; resolves when the next process has started. */
  restart(signal?: NodeJS.Signals): Promise<void>;
  /** From now on it stays away once it has ended. */
  hold(): void;
  /** It is kept running again. */
  release(): void;
  /** Kills it for good. */
  close(): Promise<void>;
}

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 2_000;
/** A process that lived this long had started well. */
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
    // Noted at once: its log forgets.
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
      throw new Error(`${name}: ${starts} starts; the last said ${JSON.stringify(current.lines.slice(-3))}`, {
        cause: error,
      });
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
