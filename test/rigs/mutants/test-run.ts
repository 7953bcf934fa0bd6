/** Runs commands in a scratch tree, within a time limit, and reads which tests failed. */
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

/** A test, or all tests of a file if `title` is null. */
export interface WantedTest {
  readonly file: string;
  /** The title in the source. `%s`, `%i` and the like stand for any text. */
  readonly title: string | null;
}

export interface FailedTest {
  readonly file: string;
  /** The titles of the test and of its suites; empty if the file could not be loaded. */
  readonly name: string;
}

export interface TestRun {
  readonly passed: boolean;
  readonly timedOut: boolean;
  readonly failed: readonly FailedTest[];
  readonly seconds: number;
}

const TO_END_MS = 10_000;

/**
 * Runs `npm test`, or `npm run test:long`, for these tests only: all of them long or none, and all with a title or none.
 * Rejects if `stopped` is aborted.
 */
export async function runTests(tests: readonly WantedTest[], options: RunOptions): Promise<TestRun> {
  const files = new Set(tests.map(({ file }) => file));
  const patterns = new Set(tests.flatMap(({ title }) => (title === null ? [] : [patternOf(title)])));
  const named = patterns.size > 0 ? ['-t', [...patterns].map((pattern) => `(^| )${pattern}`).join('|')] : [];
  return run(['test/run.ts', ...(tests.some(isLong) ? ['--long'] : []), ...named, ...files], options);
}

export const isLong = ({ file }: WantedTest) => file.endsWith('.long.test.ts');

/** Returns whether the test failed; with a title, whether that test failed, and not only a hook or another test. */
export function hasFailed({ file, title }: WantedTest, failed: readonly FailedTest[]): boolean {
  const pattern = new RegExp(title === null ? '' : `(^| > )${patternOf(title)}`);
  return failed.some((one) => one.file === file && pattern.test(one.name));
}

/** Returns a regular expression of a title at the end of a test's full name. */
function patternOf(title: string): string {
  const escaped = title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return `${escaped.replace(/%[sdifjo]/g, '.*')}$`;
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
  return { passed: code === 0, timedOut, failed: failedTestsIn(readFileSync(log, 'utf8')), seconds };
}

/** Returns the failed tests in the output of vitest's default reporter without colours. */
export function failedTestsIn(output: string): readonly FailedTest[] {
  const lines = output.matchAll(/^ *FAIL +\|[^|]+\| +(\S+\.test\.ts)(?: > (.*))?/gm);
  return [...lines].map(([, file = '', name = '']) => ({ file, name: name.trim() }));
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
