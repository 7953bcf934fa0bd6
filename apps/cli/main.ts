#!/usr/bin/env node
import { createInterface } from 'node:readline/promises';
/** The `tandem` command. Only this file uses the process; everything else receives its dependencies. */
import { createCli } from './command-line/command.ts';
import { runProgram } from './program.ts';

/**
 * The handling of Ctrl-C, SIGTERM and SIGHUP. The first signal requests an orderly end, and the second ends the process
 * at once.
 */
interface SignalWatch {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal;
  /**
   * Registers a function that runs at the second signal, before the process ends. Returns a function that removes it.
   */
  readonly whenForced: (act: () => void) => () => void;
  /** Requests an orderly end without a signal. */
  readonly end: (why: string) => void;
  /**
   * Returns whether a function is registered for the second signal. If so, this process has started other processes.
   */
  readonly keeps: () => boolean;
}

/**
 * Milliseconds within which two signals count as one. `exec node` under npm gets Ctrl-C twice: from the terminal, and
 * from npm.
 */
const SAME_WISH_MS = 300;

function watchSignals(now: () => number = () => performance.now()): SignalWatch {
  const controller = new AbortController();
  const acts = new Set<() => void>();
  let firstAt: number | undefined;
  const end = (why: string) => controller.abort(new Error(`ended by ${why}`));
  const onSignal = (name: NodeJS.Signals) => {
    if (firstAt === undefined) {
      firstAt = now();
      return end(name);
    }
    if (now() - firstAt < SAME_WISH_MS) return;
    for (const act of acts) act();
    process.exit(130);
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  return {
    signal: controller.signal,
    whenForced: (act) => {
      acts.add(act);
      return () => acts.delete(act);
    },
    end,
    keeps: () => acts.size > 0,
  };
}

const { signal, whenForced, end, keeps } = watchSignals();

/** Matches a script of npm or npx that runs only this program in the foreground. */
const ALONE = /^[^&;|]*(tandem|scripts\/run\.mjs)[^&;|]*$/;
const LOOK_EVERY_MS = 500;

/**
 * Ends this process with npm. npx runs a command in a shell and passes SIGTERM to the shell, which ends without passing
 * it on. npm does not pass on SIGHUP either.
 */
function endWithNpm(): void {
  if (!ALONE.test(process.env.npm_lifecycle_script ?? '')) return;
  const { ppid } = process;
  setInterval(() => process.ppid === ppid || end('npm'), LOOK_EVERY_MS).unref();
}

endWithNpm();

const cli = createCli({
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
  signal,
  whenForced,
  ask: process.stdin.isTTY && process.stderr.isTTY ? askOnTerminal : undefined,
  now: Date.now,
});

async function askOnTerminal(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await terminal.question(question, { signal });
  } finally {
    terminal.close();
  }
}

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // A closed terminal has sent SIGHUP, so the started processes are ended in order without output.
    if (signal.aborted || error.code === 'EIO') return;
    if (error.code !== 'EPIPE') throw error;
    // A reader that closes early (`tandem run list | head -1`) is not a failure.
    if (keeps()) end('the end of its output');
    else process.exit(0);
  });
}

process.exitCode = await runProgram(cli, process.argv.slice(2));
// An interrupted command does not close its connections.
if (signal.aborted) process.exit();
