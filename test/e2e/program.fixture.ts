/**
 * The service's programs as processes, with their logs, ends and inference children. All processes of a test are killed
 * when the test's process ends for any reason.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { readProcess } from '@tandem/local-servers/process-identity';
import { COMPILE_CACHE } from '@tandem/testing/compile-cache';
import { until } from './until.fixture.ts';

const MAINS = {
  api: 'apps/api/main.ts',
  worker: 'apps/worker/main.ts',
  embedded: 'test/rigs/faults/rig/embedded-main.ts',
} as const;
const CHECKOUT = join(import.meta.dirname, '../..');

export type ProgramName = keyof typeof MAINS;
export type LogLine = Readonly<Record<string, unknown>> & { readonly event: string };
export type Ending = number | NodeJS.Signals;

export interface Program {
  readonly name: ProgramName;
  readonly pid: number;
  /** The log lines so far. */
  readonly lines: readonly LogLine[];
  /**
   * Returns the first line of that event that fits, now or later. Rejects if the program ends before, or after a time
   * limit.
   */
  logged(event: string, fits?: (line: LogLine) => boolean): Promise<LogLine>;
  kill(signal: NodeJS.Signals): void;
  hasEnded(): boolean;
  /** The exit code, or the signal that ended it. */
  readonly ended: Promise<Ending>;
  /** Returns the process ids of the inference children. */
  children(): readonly number[];
}

const living = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

export interface ProgramOptions {
  /** Arguments of Node, before the program. */
  readonly nodeArguments?: readonly string[];
  /** Called with each line of standard output and standard error. */
  onLine?(line: string): void;
  /** The most log lines to keep. The latest lines are kept. */
  readonly mostLines?: number;
  /** The folder of another release's code; default: this checkout. */
  readonly checkout?: string | undefined;
}

export function startProgram(
  name: ProgramName,
  environment: Readonly<Record<string, string>>,
  {
    nodeArguments = [],
    onLine = () => {},
    mostLines = Number.POSITIVE_INFINITY,
    checkout = CHECKOUT,
  }: ProgramOptions = {},
): Program {
  const main = join(checkout, MAINS[name]);
  const child = spawn(process.execPath, [...nodeArguments, main], {
    env: { PATH: process.env.PATH, ...COMPILE_CACHE, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  living.add(child);
  const lines: LogLine[] = [];
  const complaints: string[] = [];
  const keep = <T>(kept: T[], one: T) => {
    kept.push(one);
    if (kept.length > mostLines) kept.shift();
  };
  createInterface({ input: child.stdout }).on('line', (line) => {
    onLine(line);
    keep(lines, JSON.parse(line) as LogLine);
  });
  createInterface({ input: child.stderr }).on('line', (line) => {
    onLine(line);
    keep(complaints, line);
  });
  const { promise: ended, resolve } = Promise.withResolvers<Ending>();
  let ending: Ending | null = null;
  child.on('close', (code, signal) => {
    living.delete(child);
    ending = code ?? signal ?? -1;
    resolve(ending);
  });
  const pid = child.pid ?? -1;
  return {
    name,
    pid,
    lines,
    ended,
    hasEnded: () => ending !== null,
    kill: (signal) => void child.kill(signal),
    children: () => childrenOf(pid),
    async logged(event, fits = () => true) {
      const find = () => lines.find((line) => line.event === event && fits(line));
      await until(`${name} logs ${event}`, () => find() !== undefined || ending !== null);
      const line = find();
      if (line) return line;
      throw new Error(`${name} ended (${ending}) before ${event}: ${JSON.stringify([lines.slice(-3), complaints])}`);
    },
  };
}

/** Kills the remaining processes, and waits until they are gone. */
export async function endPrograms(programs: readonly Program[]): Promise<void> {
  for (const program of programs) program.kill('SIGKILL');
  await Promise.all(programs.map(({ ended }) => ended));
}

/** Returns the processes that still run. */
export function running(pids: readonly number[]): readonly number[] {
  return pids.filter((pid) => readProcess(pid) !== undefined);
}

/** Kills an inference child. Does nothing if it has ended. */
export function killChild(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // The process has ended.
  }
}

function childrenOf(pid: number): readonly number[] {
  try {
    const found = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return found.trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
