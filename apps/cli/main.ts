#!/usr/bin/env node
import { createInterface } from 'node:readline/promises';
/** The `tandem` command. Only this file uses the process; everything else receives its dependencies. */
import { createCli } from '@tandem/commands/command';
import { runProgram } from './program.ts';
import { watchSignals } from './signals.ts';

const { signal, whenForced, end, keeps } = watchSignals(process, () => performance.now());

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
