/** Runs commands in a scratch tree, within a time limit, and reads which test files failed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface RunOptions {
  readonly root: string;
  readonly variables: Readonly<Record<string, string>>;
  /** The file for the output of the command. */
  readonly log: string;
  readonly limitMs: number;
  readonly stopped: AbortSignal;
}

export interface TestRun {
  readonly passed: boolean;
  readonly timedOut: boolean;
  /** The test files with a failed test, and those that could not be loaded. */
  readonly failedFiles: ReadonlySet<string>;
  readonly seconds: number;
}

const TO_END_MS = 10_000;

/** Runs `npm test -- <files>`. Rejects if `stopped` is aborted. */
export async function runTests(files: readonly string[], options: RunOptions): Promise<TestRun> {
  return run(['test/run.ts', ...files], options);
}

/** Runs the compiler on all files, like `npm test`. Rejects if `stopped` is aborted. */
export async function runCompiler(options: RunOptions): Promise<TestRun> {
  return run(['tsc', '-p', 'tsconfig.json'], options);
}

async function run(command: readonly string[], options: RunOptions): Promise<TestRun> {
  const { root, variables, log, limitMs, stopped } = options;
  stopped.throwIfAborted();
  const startedAt = performance.now();
  const output = openSync(log, 'w');
  const { FORCE_COLOR: _, ...env } = process.env;
  const child = spawn(process.execPath, [join(root, 'scripts/run.mjs'), ...command], {
    cwd: root,
    // A separate process group, so that a hanging run is killed with its workers.
    detached: true,
    stdio: ['ignore', output, output],
    env: { ...env, ...variables, NO_COLOR: '1' },
  });
  closeSync(output);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    endGroup(child.pid);
  }, limitMs);
  const end = () => endGroup(child.pid);
  stopped.addEventListener('abort', end);
  const [code] = await once(child, 'exit').finally(() => clearTimeout(timer));
  stopped.removeEventListener('abort', end);
  stopped.throwIfAborted();
  const seconds = (performance.now() - startedAt) / 1000;
  return { passed: code === 0, timedOut, failedFiles: failedFilesIn(readFileSync(log, 'utf8')), seconds };
}

/** Returns the failed test files in the output of vitest's default reporter without colours. */
export function failedFilesIn(output: string): ReadonlySet<string> {
  const lines = output.matchAll(/^ *FAIL +\|[^|]+\| +(\S+\.test\.ts)\b/gm);
  return new Set([...lines].map(([, file = '']) => file));
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  const send = (signal: NodeJS.Signals) => {
    try {
      process.kill(-pid, signal);
    } catch {
      // The process group has ended.
    }
  };
  send('SIGTERM');
  setTimeout(() => send('SIGKILL'), TO_END_MS).unref();
}
