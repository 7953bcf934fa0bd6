#!/usr/bin/env node
import { createInterface } from 'node:readline/promises';
/** The `tandem` command: the only file that touches the process. Everything else receives what it needs. */
import { createCli } from './command-line/command.ts';
import { runProgram } from './program.ts';

/** Ctrl-C, SIGTERM and SIGHUP: the first requests an orderly end, the second ends the process at once. */
interface SignalWatch {
  /** Aborted by the first of them. */
  readonly signal: AbortSignal;
  /** Registers what the second one does before the process ends; gives what takes it back. */
  readonly whenForced: (act: () => void) => () => void;
  /** Requests an orderly end without a signal. */
  readonly end: (why: string) => void;
  /** Whether something is registered for the second one: it runs because of this process. */
  readonly keeps: () => boolean;
}

/** `exec node` under npm gets a terminal's Ctrl-C twice (from the terminal, and passed on): that is one wish. */
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

/** A script of npm, or what npx makes of a command, that is this program alone: it stays in the foreground. */
const ALONE = /^[^&;|]*(tandem|scripts\/run\.mjs)[^&;|]*$/;
const LOOK_EVERY_MS = 500;

/**
 * npx runs a command by way of a shell, to which it passes SIGTERM on. The shell ends, and tells the command nothing. npm
 * ends by SIGHUP without a word, too.
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
    // A terminal that was closed has sent SIGHUP: the started processes are ended in order, without output.
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
