#!/usr/bin/env node
import { createInterface } from 'node:readline/promises';
/** The `tandem` command: the only file that touches the process. Everything else receives what it needs. */
import { createCli } from './command-line/command.ts';
import { runProgram } from './program.ts';

/** Ctrl-C, SIGTERM and SIGHUP: the first asks for an end in good order, the second ends the process at once. */
interface SignalWatch {
  /** Aborted by the first of them. */
  readonly signal: AbortSignal;
  /** Registers what the second one does before the process ends; gives what takes it back. */
  readonly whenForced: (act: () => void) => () => void;
}

/** `exec node` under npm gets a terminal's Ctrl-C twice (from the terminal, and passed on): that is one wish. */
const SAME_WISH_MS = 300;

function watchSignals(now: () => number = () => performance.now()): SignalWatch {
  const controller = new AbortController();
  const acts = new Set<() => void>();
  let firstAt: number | undefined;
  const onSignal = (name: NodeJS.Signals) => {
    if (firstAt === undefined) {
      firstAt = now();
      controller.abort(new Error(`ended by ${name}`));
      return;
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
  };
}

const { signal, whenForced } = watchSignals();

const cli = createCli({
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

// A reader that goes away early (`tandem run list | head -1`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await runProgram(cli, process.argv.slice(2));
// An interrupted command leaves its connections as they are; nothing waits for them.
if (signal.aborted) process.exit();
