#!/usr/bin/env node
/** The `tandem` command: the one place here that touches the process; everything else is handed what it needs. */
import { createInterface } from 'node:readline/promises';
import { createCli } from './command-line/cli.ts';
import { runProgram } from './program.ts';
import { watchSignals } from './signals.ts';

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
